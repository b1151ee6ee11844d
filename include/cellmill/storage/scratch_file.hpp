#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>

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

}  // namespace cellmill
