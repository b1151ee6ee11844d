#pragma once

#include <filesystem>
#include <string>

namespace cellmill {

/// What `--overwrite` decides.
enum class IfExists { refuse, overwrite };

/// A file or folder that is written beside its final name (`.NAME.partial`) and appears whole or
/// not at all. One rank owns it; other ranks only use `partial()`.
class AtomicOutput {
 public:
  /// Checks the final name, removes what an earlier run left at the partial one.
  /// \throws Error(input) if the final name exists and may not be overwritten, Error(io) if its
  /// folder can't be written
  AtomicOutput(std::filesystem::path final_path, IfExists if_exists);
  AtomicOutput(const AtomicOutput&) = delete;
  AtomicOutput& operator=(const AtomicOutput&) = delete;
  /// Removes the partial output unless commit() was called.
  ~AtomicOutput();

  /// Where to write.
  [[nodiscard]] const std::filesystem::path& partial() const { return partial_; }
  /// Syncs and renames to the final name (an old output is replaced only now).
  void commit();

 private:
  std::filesystem::path final_;
  std::filesystem::path partial_;
  bool committed_ = false;
};

/// The partial name that belongs to a final one: same on every rank.
[[nodiscard]] std::filesystem::path partial_path(const std::filesystem::path& final_path);

}  // namespace cellmill
