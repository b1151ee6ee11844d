#include "cellmill/storage/line_reader.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::size_t buffer_bytes = 1 << 20;
constexpr std::size_t most_line_bytes = 64 << 20;

}  // namespace

std::string name_with_folder(const std::filesystem::path& path) {
  return (path.parent_path().filename() / path.filename()).string();
}

struct LineReader::File {
  gzFile handle = nullptr;
  File() = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (handle != nullptr) gzclose(handle);
  }
};

LineReader::LineReader(const std::filesystem::path& path)
    : name_(name_with_folder(path)), file_(std::make_unique<File>()), buffer_(buffer_bytes) {
  if (!std::filesystem::exists(path)) throw not_found_error(path.string() + ": no such file");
  file_->handle = gzopen(path.c_str(), "rbe");  // e: not inherited by processes we start
  if (file_->handle == nullptr) {
    throw io_error(fmt::format("{}: {}", path.string(), std::strerror(errno)));
  }
  gzbuffer(file_->handle, 1 << 18);
}

LineReader::~LineReader() = default;

std::string LineReader::location() const {
  return fmt::format("{}: line {}", name_, grouped(line_));
}

/// Reads more behind what is not yet given; false at the end of the file.
bool LineReader::refill() {
  std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_),
            buffer_.begin() + static_cast<std::ptrdiff_t>(end_), buffer_.begin());
  end_ -= begin_;
  begin_ = 0;
  if (end_ == buffer_.size()) {
    if (end_ >= most_line_bytes) {
      throw input_error(fmt::format("{}: line {} is longer than {}", name_, grouped(line_ + 1),
                                    human_bytes(most_line_bytes)));
    }
    buffer_.resize(2 * buffer_.size());
  }
  const int got =
      gzread(file_->handle, buffer_.data() + end_, static_cast<unsigned>(buffer_.size() - end_));
  int code = Z_OK;
  const char* message = gzerror(file_->handle, &code);
  if (got < 0 || code == Z_BUF_ERROR) {
    throw input_error(fmt::format("{}: {}", name_,
                                  code == Z_BUF_ERROR ? "gzip stream ends early"
                                  : code == Z_ERRNO   ? std::strerror(errno)
                                                      : message));
  }
  end_ += static_cast<std::size_t>(got);
  return got > 0;
}

std::optional<std::string_view> LineReader::next() {
  std::size_t searched = 0;  // of what is not yet given
  while (true) {
    const char* from = buffer_.data() + begin_;
    const void* found = std::memchr(from + searched, '\n', end_ - begin_ - searched);
    searched = end_ - begin_;
    std::size_t length = searched;
    std::size_t taken = searched;
    if (found != nullptr) {
      length = static_cast<std::size_t>(static_cast<const char*>(found) - from);
      taken = length + 1;
    } else if (refill()) {
      continue;
    } else if (searched == 0) {
      return std::nullopt;
    }
    std::string_view line(buffer_.data() + begin_, length);
    begin_ += taken;
    ++line_;
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
  }
}

}  // namespace cellmill
