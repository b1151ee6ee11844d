#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "cellmill/core/memory.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

/// Numbered blocks of bytes that a later pass reads again: in memory as far as `memory_share` goes,
/// then in the scratch file; with neither, a block is dropped and must be made again. Thread-safe
/// for different blocks.
class BlobStore {
 public:
  enum class WhenFull {
    fail,
    drop
  };  ///< what a full scratch disk means: `--scratch DIR` or `auto`

  /// \param scratch may be null; shared with other stores
  BlobStore(std::int64_t count, std::shared_ptr<ScratchFile> scratch, WhenFull when_full,
            MemoryBudget& budget, std::int64_t memory_share);

  /// Whether put() has anywhere to put a block; if not, packing it is for nothing.
  [[nodiscard]] bool keeps() const { return (scratch_ != nullptr && !full_) || memory_left_ > 0; }
  void put(std::int64_t block, RawVector<std::byte> bytes);
  [[nodiscard]] bool has(std::int64_t block) const;
  [[nodiscard]] std::int64_t size(std::int64_t block) const;  ///< bytes; 0 if dropped
  /// Into a buffer that is used again.
  void get(std::int64_t block, RawVector<std::byte>& out) const;
  /// Forgets all blocks and lets go of the scratch file; nothing more can be put.
  void clear();

 private:
  struct Block {
    enum class Where { nowhere, memory, file } where = Where::nowhere;
    std::int64_t offset = 0;
    std::int64_t bytes = 0;
    RawVector<std::byte> data;
    MemoryBudget::Reservation reserved;
  };
  std::vector<Block> blocks_;
  std::shared_ptr<ScratchFile> scratch_;
  WhenFull when_full_;
  MemoryBudget& budget_;
  std::atomic<std::int64_t> memory_left_;
  std::atomic<bool> full_{false};
};

}  // namespace cellmill
