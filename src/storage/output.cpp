#include "cellmill/storage/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

/// `folder/` and `folder` are the same output.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

[[noreturn]] void fail(const fs::path& path, const char* doing, std::error_code error) {
  throw io_error(path.string() + ": can't " + doing + ": " + error.message());
}

std::error_code last_error() { return {errno, std::generic_category()}; }

/// A rename is on the disk when its folder is; file systems that can't sync a folder do without.
void sync_name(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

}  // namespace

void sync_to_disk(const fs::path& path) {
  // A folder with its many thousand chunk files by one call for its file system, not by opening
  // each.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail(path, "open", last_error());
  const int status = fs::is_directory(path) ? ::syncfs(descriptor) : ::fsync(descriptor);
  const std::error_code error = last_error();
  ::close(descriptor);
  if (status != 0) fail(path, "sync", error);
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  fs::path beside = path;
  beside += ".new";
  const int file = ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file < 0) fail(beside, "write", last_error());
  while (!text.empty()) {
    const ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const std::error_code error = last_error();
      ::close(file);
      fail(beside, "write", error);
    }
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  ::close(file);
  sync_to_disk(beside);
  std::error_code error;
  fs::rename(beside, path, error);
  if (error) fail(path, "replace", error);
  sync_name(path);
}

fs::path partial_path(const fs::path& final_path) {
  const fs::path plain = without_slash(final_path);
  return plain.parent_path() / fmt::format(".{}.partial", plain.filename().string());
}

AtomicOutput::AtomicOutput(const fs::path& final_path, IfExists if_exists, Leftover leftover)
    : final_(without_slash(final_path)), partial_(partial_path(final_path)) {
  if (if_exists == IfExists::refuse && is_there(final_)) {
    throw input_error(final_.string() + " exists already; pass --overwrite to replace it");
  }
  const fs::path folder = final_.has_parent_path() ? final_.parent_path() : fs::path(".");
  if (!fs::is_directory(folder)) {
    throw io_error(final_.string() + ": there is no folder " + folder.string());
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(folder, "write in this folder", last_error());
  }
  if (leftover == Leftover::keep) return;
  std::error_code error;
  fs::remove_all(partial_, error);
  if (error) fail(partial_, "remove what an earlier run left", error);
}

AtomicOutput::~AtomicOutput() {
  if (kept_) return;
  std::error_code ignored;  // destructors don't throw; the name says that it is partial
  fs::remove_all(partial_, ignored);
}

void AtomicOutput::commit() {
  sync_to_disk(partial_);
  std::error_code error;
  if (!is_there(final_) || (!fs::is_directory(final_) && !fs::is_directory(partial_))) {
    fs::rename(partial_, final_, error);
    if (error) fail(final_, "rename the finished output to it", error);
  } else if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, final_.c_str(), RENAME_EXCHANGE) ==
             0) {
    fs::remove_all(partial_, error);  // the old output, now under the partial name
  } else {
    // File systems that can't exchange names: the old output steps aside first.
    fs::path old = final_;
    old += ".old";
    fs::remove_all(old, error);
    fs::rename(final_, old, error);
    if (error) fail(final_, "move the old output aside", error);
    fs::rename(partial_, final_, error);
    if (error) {
      std::error_code ignored;
      fs::rename(old, final_, ignored);
      fail(final_, "rename the finished output to it", error);
    }
    fs::remove_all(old, error);
  }
  kept_ = true;
  sync_name(final_);
}

}  // namespace cellmill
