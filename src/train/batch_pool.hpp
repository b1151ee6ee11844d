#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellmill/train/batch.hpp"

namespace cellmill {

/// Batches whose buffers are used again: freshly mapped pages cost several times what decoding into
/// them does. The pool lives as long as any of its batches. Thread-safe.
class BatchPool : public std::enable_shared_from_this<BatchPool> {
 public:
  /// \param most that are kept while nobody has them
  explicit BatchPool(std::size_t most) : most_(most) {}

  [[nodiscard]] std::shared_ptr<Batch> take() {
    std::unique_ptr<Batch> batch;
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        batch = std::move(free_.back());
        free_.pop_back();
      }
    }
    if (!batch) batch = std::make_unique<Batch>();
    return {batch.release(), [pool = shared_from_this()](Batch* back) {
              pool->give_back(std::unique_ptr<Batch>(back));
            }};
  }

 private:
  void give_back(std::unique_ptr<Batch> batch) {
    const std::lock_guard lock(mutex_);
    if (free_.size() < most_) free_.push_back(std::move(batch));
  }

  std::size_t most_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Batch>> free_;
};

/// Room for `size` elements, what was in it forgotten; a little more is taken than asked, because
/// the next batch may be a little larger.
template <class T>
void make_room(RawVector<T>& buffer, std::size_t size) {
  if (buffer.capacity() < size) {
    buffer = {};
    buffer.reserve(size + size / 8);
  }
  buffer.resize(size);
}

}  // namespace cellmill
