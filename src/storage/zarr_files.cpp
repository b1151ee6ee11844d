#include "storage/zarr_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

[[noreturn]] void fail(const fs::path& path, const char* doing, int error) {
  throw io_error(fmt::format("{}: can't {}: {}", path.string(), doing,
                             std::generic_category().message(error)));
}

[[noreturn]] void fail_to_write(const fs::path& path, std::size_t bytes, int error) {
  throw io_error(fmt::format("{}: can't write {}: {}", path.string(),
                             human_bytes(static_cast<std::int64_t>(bytes)),
                             std::generic_category().message(error)));
}

int open_to_write(const fs::path& path) {
  constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  const int descriptor = ::open(path.c_str(), flags, 0666);
  if (descriptor >= 0 || errno != ENOENT) return descriptor;
  std::error_code ignored;  // open says what is wrong
  fs::create_directories(path.parent_path(), ignored);
  return ::open(path.c_str(), flags, 0666);
}

}  // namespace

InputFile::InputFile(fs::path path, int descriptor)
    : path_(std::move(path)), descriptor_(descriptor) {}

InputFile::~InputFile() { ::close(descriptor_); }

std::unique_ptr<InputFile> InputFile::open(const fs::path& path) {
  const int descriptor =
      ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // a pipe must not wait
  if (descriptor < 0) {
    if (errno == ENOENT || errno == ENOTDIR) return nullptr;
    fail(path, "open", errno);
  }
  std::unique_ptr<InputFile> file(new InputFile(path, descriptor));
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(path, "stat", errno);
  if (!S_ISREG(status.st_mode)) fail(path, "read", EISDIR);
  file->size_ = status.st_size;
  return file;
}

void InputFile::read(std::int64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::pread(descriptor_, out.data() + done, out.size() - done,
                                offset + static_cast<std::int64_t>(done));
    if (got < 0) {
      if (errno == EINTR) continue;
      fail(path_, "read", errno);
    }
    if (got == 0) {
      throw input_error(fmt::format("{}: ends at byte {}, expected {}", path_.string(),
                                    grouped(offset + static_cast<std::int64_t>(done)),
                                    grouped(offset + static_cast<std::int64_t>(out.size()))));
    }
    done += static_cast<std::size_t>(got);
  }
}

bool read_file(const fs::path& path, std::int64_t most, Bytes& out) {
  const std::unique_ptr<InputFile> file = InputFile::open(path);
  if (!file) return false;
  check_most(file->size(), most);
  resize_for_reuse(out, static_cast<std::size_t>(file->size()));
  file->read(0, out);
  return true;
}

std::int64_t file_bytes(const fs::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return 0;
    fail(path, "stat", errno);
  }
  return status.st_size;
}

OutputFile::OutputFile(fs::path path) : path_(std::move(path)), descriptor_(open_to_write(path_)) {
  if (descriptor_ < 0) fail(path_, "make the file", errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void OutputFile::append(std::span<const std::byte> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
    if (wrote >= 0) {
      done += static_cast<std::size_t>(wrote);
    } else if (errno != EINTR) {
      fail_to_write(path_, bytes.size(), errno);
    }
  }
}

void OutputFile::close() {
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail(path_, "close the file", errno);
}

void write_file(const fs::path& path, std::span<const std::byte> bytes) {
  OutputFile file(path);
  file.append(bytes);
  file.close();
}

}  // namespace cellmill
