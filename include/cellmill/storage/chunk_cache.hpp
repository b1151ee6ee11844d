#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "cellmill/storage/array.hpp"

namespace cellmill {

/// Encoded chunks that stay in memory, so that the next epoch reads them neither from the file nor
/// out of the page cache. Nothing leaves it: in an epoch every chunk is wanted as often as any
/// other, so which ones are kept doesn't matter, and least-recently-used would keep none in time.
/// Thread-safe; must outlive what was fetched through it, and the arrays outlive it.
class ChunkCache {
 public:
  /// \param capacity bytes that it may hold; 0: it only passes on and counts
  explicit ChunkCache(std::int64_t capacity = 0) : capacity_(capacity) {}
  ChunkCache(const ChunkCache&) = delete;
  ChunkCache& operator=(const ChunkCache&) = delete;

  /// Once, before many threads fetch.
  void set_capacity(std::int64_t capacity) { capacity_ = capacity; }

  /// What storage's fetch_range gives. Chunks of packed rows that are kept have been verified.
  void fetch_range(const Array& array, Range range, FetchedRange& into);

  [[nodiscard]] std::int64_t bytes_read() const { return bytes_read_; }  ///< encoded, from files
  [[nodiscard]] std::int64_t bytes_held() const { return bytes_held_; }

 private:
  using Chunks = std::unordered_map<std::int64_t, const EncodedChunk*>;  ///< by number
  /// Makes `into` chunks [wanted) if all of them are here.
  bool find(const Array& array, Range wanted, FetchedRange& into) const;
  void keep(const Array& array, std::unique_ptr<FetchedRange> fetched);

  std::int64_t capacity_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<const Array*, Chunks> arrays_;
  std::vector<std::unique_ptr<FetchedRange>> held_;
  std::atomic<std::int64_t> bytes_read_{0};
  std::atomic<std::int64_t> bytes_held_{0};
};

}  // namespace cellmill
