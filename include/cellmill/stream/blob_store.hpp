#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/memory.hpp"
#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// A nameless file on local disk for what a run may need again. It is unlinked as soon as it is
/// open, so nothing is left behind however the run ends. Thread-safe.
class ScratchFile {
 public:
  /// \throws Error(io) naming the folder, if a file can't be made there
  explicit ScratchFile(const std::filesystem::path& folder);
  ~ScratchFile();
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  /// Appends; returns the offset. \throws Error(io), saying how much there was, if the disk is full
  std::int64_t append(std::span<const std::byte> bytes);
  void read(std::int64_t offset, std::span<std::byte> out) const;
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }
  [[nodiscard]] std::int64_t bytes() const { return end_; }

 private:
  std::filesystem::path folder_;
  int file_ = -1;
  std::atomic<std::int64_t> end_{0};
};

/// Where scratch goes for `--scratch auto`: the first of $SLURM_TMPDIR, $TMPDIR, /tmp, /var/tmp and
/// `fallback` that is a disk (memory file systems would defeat the purpose), writable, and has
/// `wanted` bytes free; empty if none.
[[nodiscard]] std::filesystem::path find_scratch_folder(const std::filesystem::path& fallback,
                                                        std::int64_t wanted);

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
  [[nodiscard]] RawVector<std::byte> get(std::int64_t block) const;
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
