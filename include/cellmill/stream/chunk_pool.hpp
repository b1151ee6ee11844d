#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"

namespace cellmill {

/// CsrChunks whose buffers are used again: freshly mapped pages cost more than decoding into them.
/// As many as were ever borrowed at once. Thread-safe.
class ChunkPool {
 public:
  /// A chunk on loan; goes back when it dies.
  class Loan {
   public:
    Loan(ChunkPool& pool, std::unique_ptr<CsrChunk> chunk)
        : pool_(&pool), chunk_(std::move(chunk)) {}
    Loan(Loan&&) noexcept = default;
    Loan& operator=(Loan&&) noexcept = default;
    ~Loan() {
      if (chunk_) pool_->give_back(std::move(chunk_));
    }
    CsrChunk& operator*() const { return *chunk_; }
    CsrChunk* operator->() const { return chunk_.get(); }

   private:
    ChunkPool* pool_;
    std::unique_ptr<CsrChunk> chunk_;
  };

  [[nodiscard]] Loan borrow() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return {*this, std::make_unique<CsrChunk>()};
    auto chunk = std::move(free_.back());
    free_.pop_back();
    return {*this, std::move(chunk)};
  }

 private:
  void give_back(std::unique_ptr<CsrChunk> chunk) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(chunk));
  }

  std::mutex mutex_;
  std::vector<std::unique_ptr<CsrChunk>> free_;
};

}  // namespace cellmill
