#include "train/row_lengths.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t rows_at_once = 65'536;
constexpr std::int64_t length_bytes = sizeof(std::uint32_t);

[[noreturn]] void fail(const fs::path& path, const char* doing) {
  throw io_error(fmt::format("{}: can't {}: {}", path.string(), doing,
                             std::generic_category().message(errno)));
}

/// Calls `body` with the lengths of rows [0, rows), some at a time.
template <class Body>
void read_lengths(const fs::path& path, std::int64_t rows, Body&& body) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, "open");
  std::vector<std::uint32_t> lengths;
  for (std::int64_t row = 0; row < rows; row += rows_at_once) {
    lengths.resize(static_cast<std::size_t>(std::min(rows_at_once, rows - row)));
    const auto bytes = static_cast<std::streamsize>(lengths.size() * sizeof(std::uint32_t));
    if (!file.read(reinterpret_cast<char*>(lengths.data()), bytes)) {
      throw input_error(fmt::format("{}: ends before row {}", path.string(), grouped(rows)));
    }
    body(row, std::span<const std::uint32_t>(lengths));
  }
}

}  // namespace

RowLengths::RowLengths(const fs::path& folder, std::int64_t rows) : path_(folder / ".row-lengths") {
  if (rows > 0) {
    read_lengths(path_, rows, [&](std::int64_t, std::span<const std::uint32_t> lengths) {
      for (const std::uint32_t length : lengths) total_ += length;
    });
    std::error_code error;
    fs::resize_file(path_, static_cast<std::uintmax_t>(rows * length_bytes), error);
    if (error) throw io_error(path_.string() + ": can't shorten: " + error.message());
  }
  rows_ = rows;
  passed_ = {rows_, total_};
  file_.open(path_, std::ios::binary | (rows > 0 ? std::ios::app : std::ios::trunc));
  if (!file_) fail(path_, "make the file");
}

void RowLengths::append(std::span<const std::int64_t> indptr) {
  std::vector<std::uint32_t> lengths;
  lengths.reserve(indptr.size());
  for (std::size_t i = 1; i < indptr.size(); ++i) {
    const std::int64_t length = indptr[i] - indptr[i - 1];
    lengths.push_back(static_cast<std::uint32_t>(length));
    total_ += length;
    ends_.push_back(total_);
  }
  rows_ += static_cast<std::int64_t>(lengths.size());
  const auto bytes = static_cast<std::streamsize>(lengths.size() * sizeof(std::uint32_t));
  if (!file_.write(reinterpret_cast<const char*>(lengths.data()), bytes)) fail(path_, "write");
}

RowLengths::Ends::Ends(fs::path path) : path_(std::move(path)), file_(path_, std::ios::binary) {
  if (!file_) fail(path_, "open");
}

std::span<const std::int64_t> RowLengths::Ends::of(Range elements) {
  ends_.erase(ends_.begin(), std::upper_bound(ends_.begin(), ends_.end(), elements.begin));
  std::vector<std::uint32_t> lengths(static_cast<std::size_t>(rows_at_once));
  while (total_ < elements.end) {
    file_.read(reinterpret_cast<char*>(lengths.data()),
               static_cast<std::streamsize>(lengths.size() * sizeof(std::uint32_t)));
    const auto got = static_cast<std::size_t>(file_.gcount()) / sizeof(std::uint32_t);
    if (got == 0) {
      throw input_error(
          fmt::format("{}: ends before element {}", path_.string(), grouped(elements.end)));
    }
    for (std::size_t i = 0; i < got; ++i) {
      total_ += lengths[i];
      if (total_ > elements.begin) ends_.push_back(total_);
    }
  }
  return ends_;
}

RowLengths::Ends RowLengths::read_ends() {
  if (!file_.flush()) fail(path_, "write");
  return Ends(path_);
}

RowLengths::Place RowLengths::place(std::int64_t element) {
  const auto after = std::upper_bound(ends_.begin(), ends_.end(), element);
  if (after != ends_.begin()) {
    passed_ = {passed_.rows + (after - ends_.begin()), *(after - 1)};
    ends_.erase(ends_.begin(), after);
  }
  if (!file_.flush()) fail(path_, "write");
  return {passed_.rows, element - passed_.elements};
}

void RowLengths::finish(Group& parent, const std::string& name,
                        const std::function<void()>& check) {
  file_.close();
  if (!file_) fail(path_, "write");
  ArraySpec spec;
  spec.dtype = DType::int64;
  spec.shape = {rows_ + 1};
  spec.chunk_shape = {rows_at_once};
  spec.codec = "zstd";
  spec.checksums = true;
  const auto writer = parent.create_array(name, spec);
  std::vector<std::int64_t> offsets{0};
  std::int64_t first = 0;  // of `offsets` in the array
  read_lengths(path_, rows_, [&](std::int64_t, std::span<const std::uint32_t> lengths) {
    check();
    for (const std::uint32_t length : lengths) {
      offsets.push_back(offsets.back() + length);
      if (static_cast<std::int64_t>(offsets.size()) <= rows_at_once) continue;
      const std::int64_t next = offsets.back();
      writer->write_rows(first, std::as_bytes(std::span(offsets).first(rows_at_once)));
      first += rows_at_once;
      offsets.assign(1, next);
    }
  });
  writer->write_rows(first, std::as_bytes(std::span(offsets)));
}

void RowLengths::remove() {
  std::error_code ignored;
  fs::remove(path_, ignored);
}

}  // namespace cellmill
