#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"

namespace cellmill {

/// Things whose buffers are used again: freshly mapped pages cost more than decoding into them. As
/// many as were ever borrowed at once. Thread-safe.
template <class T>
class LoanPool {
 public:
  /// One on loan; goes back when it dies.
  class Loan {
   public:
    Loan(LoanPool& pool, std::unique_ptr<T> lent) : pool_(&pool), lent_(std::move(lent)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) noexcept = default;
    ~Loan() {
      if (lent_) pool_->give_back(std::move(lent_));
    }
    T& operator*() const { return *lent_; }
    T* operator->() const { return lent_.get(); }

   private:
    LoanPool* pool_;
    std::unique_ptr<T> lent_;
  };

  [[nodiscard]] Loan borrow() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {*this, std::make_unique<T>()};
    auto lent = std::move(free_.back());
    free_.pop_back();
    return {*this, std::move(lent)};
  }

 private:
  void give_back(std::unique_ptr<T> lent) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(lent));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

using ChunkPool = LoanPool<CsrChunk>;

}  // namespace cellmill
