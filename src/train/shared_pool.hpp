#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Things whose buffers are used again: freshly mapped pages cost several times what decoding into
/// them does. Unlike stream's Pool they may outlive who made them (the pool lives as long as any of
/// them), and many thousands may be on loan. Thread-safe.
template <class T>
class SharedPool : public std::enable_shared_from_this<SharedPool<T>> {
 public:
  /// \param most that are kept while nobody has them
  explicit SharedPool(std::size_t most) : most_(most) {}

  [[nodiscard]] std::shared_ptr<T> take() {
    std::unique_ptr<T> value;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        value = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!value) value = std::make_unique<T>();
    return {value.release(), [pool = this->shared_from_this()](T* back) {
              pool->give_back(std::unique_ptr<T>(back));
            }};
  }

 private:
  void give_back(std::unique_ptr<T> value) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < most_) free_.push_back(std::move(value));
  }

  std::size_t most_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

}  // namespace cellmill
