#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace cellmill {

/// What `--overwrite` decides.
enum class IfExists { refuse, overwrite };

/// Whether to go on from what an interrupted run left: `--resume`.
enum class Resume { no, yes };

/// What becomes of a partial output that an earlier run left: `--resume` decides.
enum class Leftover { remove, keep };

/// A file or folder that is written beside its final name (`.NAME.partial`) and appears whole or
/// not at all. One rank owns it; other ranks only use `partial()`.
class AtomicOutput {
 public:
  /// Checks the final name, and removes what an earlier run left at the partial one unless that is
  /// to be kept.
  /// \throws Error(input) if the final name exists and may not be overwritten, Error(io) if its
  /// folder can't be written
  AtomicOutput(const std::filesystem::path& final_path, IfExists if_exists,
               Leftover leftover = Leftover::remove);
  AtomicOutput(const AtomicOutput&) = delete;
  AtomicOutput& operator=(const AtomicOutput&) = delete;
  /// Removes the partial output unless commit() or keep_partial() was called.
  ~AtomicOutput();

  /// Where to write.
  [[nodiscard]] const std::filesystem::path& partial() const { return partial_; }
  /// Syncs and renames to the final name (an old output is replaced only now).
  void commit();
  /// The partial output is worth something if no commit() follows: a later run goes on with it.
  void keep_partial() { kept_ = true; }

 private:
  std::filesystem::path final_;
  std::filesystem::path partial_;
  bool kept_ = false;  ///< whatever happens to this
};

/// Waits until a file, or all of a folder's file system, is on the disk. \throws Error(io)
void sync_to_disk(const std::filesystem::path& path);

/// Replaces a small file by this text, whole or not at all, and waits until it is on the disk.
/// \throws Error(io)
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

/// The partial name that belongs to a final one: same on every rank.
[[nodiscard]] std::filesystem::path partial_path(const std::filesystem::path& final_path);

}  // namespace cellmill
