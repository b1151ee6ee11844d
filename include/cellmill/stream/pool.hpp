#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace cellmill {

/// Things with large buffers that are used again: freshly mapped pages cost more than decoding into
/// them. What the pool holds, on loan or not, is no more than what was on loan at once: what a pass
/// was granted for it. T says with `held_bytes()` how much it is. Thread-safe.
template <class T>
class Pool {
  struct Entry {
    T value;
    std::int64_t bytes = 0;      ///< when it came back last
    std::int64_t most_lent = 0;  ///< while it is on loan: of all that were on loan with it
  };

 public:
  /// Something on loan; goes back when it dies.
  class Loan {
   public:
    Loan(Pool& pool, std::unique_ptr<Entry> entry) : pool_(&pool), entry_(std::move(entry)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) = delete;
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    ~Loan() { end(); }
    /// Gives it back before.
    void end() {
      if (entry_) pool_->take_back(std::move(entry_));
    }
    T& operator*() const { return entry_->value; }
    T* operator->() const { return &entry_->value; }

   private:
    Pool* pool_;
    std::unique_ptr<Entry> entry_;
  };

  [[nodiscard]] Loan borrow() {
    const std::lock_guard lock(mutex_);
    std::unique_ptr<Entry> entry;
    if (free_.empty()) {
      entry = std::make_unique<Entry>();
    } else {
      entry = std::move(free_.back());
      free_.pop_back();
    }
    lent_bytes_ += entry->bytes;
    lent_.push_back(entry.get());
    for (Entry* const one : lent_) one->most_lent = std::max(one->most_lent, lent_bytes_);
    return {*this, std::move(entry)};
  }

  /// Bytes of all that is there and of what is on loan, as it was when it came.
  [[nodiscard]] std::int64_t held_bytes() const {
    const std::lock_guard lock(mutex_);
    return held_;
  }

 private:
  void take_back(std::unique_ptr<Entry> entry) {
    const std::lock_guard lock(mutex_);
    // How it changed is known only now, but it was so for all that were on loan with it.
    const std::int64_t bytes = entry->value.held_bytes();
    const std::int64_t change = bytes - entry->bytes;
    for (Entry* const one : lent_) one->most_lent += std::max<std::int64_t>(change, 0);
    most_lent_ = std::max(most_lent_, entry->most_lent);
    std::erase(lent_, entry.get());
    lent_bytes_ -= entry->bytes;
    held_ += change;
    entry->bytes = bytes;
    entry->most_lent = 0;
    free_.push_back(std::move(entry));
    while (held_ > most_lent_) {  // the first was not used for longest
      held_ -= free_.front()->bytes;
      free_.erase(free_.begin());
    }
  }

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Entry>> free_;
  std::vector<Entry*> lent_;
  std::int64_t held_ = 0;
  std::int64_t lent_bytes_ = 0;  ///< of those on loan, as far as it is known
  std::int64_t most_lent_ = 0;
};

}  // namespace cellmill
