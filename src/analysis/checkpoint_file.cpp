#include "analysis/checkpoint_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/checksum.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The end of the file: where the head is, and whether it is whole.
struct Tail {
  std::uint64_t magic = 0;
  std::uint64_t head_bytes = 0;
  std::uint64_t head_checksum = 0;
};
constexpr std::uint64_t tail_magic = 0x31'6B'63'6D'6C'6C'65'63;  // "cellmck1"

[[noreturn]] void fail(const fs::path& path, const char* doing) {
  throw io_error(fmt::format("{}: can't {}: {}", path.string(), doing, std::strerror(errno)));
}

Error damaged(const fs::path& path, const std::string& what) {
  return input_error(fmt::format("{}: the checkpoint is damaged: {}", path.string(), what));
}

json json_of(const RangeSet& set) {
  json list = json::array();
  for (const Range& range : set.ranges()) list.push_back({range.begin, range.end});
  return list;
}

RangeSet set_of(const json& list) {
  RangeSet set;
  for (const json& range : list) {
    set.add({range.at(0).get<std::int64_t>(), range.at(1).get<std::int64_t>()});
  }
  return set;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

CheckpointWriter::CheckpointWriter(fs::path path) : path_(std::move(path)), beside_(path_) {
  beside_ += ".new";
  file_ = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file_ < 0) fail(beside_, "write");
}

CheckpointWriter::~CheckpointWriter() {
  if (file_ < 0) return;
  ::close(file_);
  std::error_code ignored;
  fs::remove(beside_, ignored);
}

void CheckpointWriter::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(beside_, "write");
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void CheckpointWriter::write(const std::string& name, std::span<const std::byte> bytes) {
  put(bytes);
  blocks_.push_back({name, bytes.size(), crc32c(bytes)});
}

void CheckpointWriter::commit(const CheckpointHead& head) {
  json document = {{"run", head.run},
                   {"mine", {head.mine.begin, head.mine.end}},
                   {"added", json_of(head.added)},
                   {"valued", json_of(head.valued)},
                   {"rows", json::object()},
                   {"blocks", json::array()}};
  for (const auto& [name, rows] : head.rows) document["rows"][name] = json_of(rows);
  for (const Block& block : blocks_) {
    document["blocks"].push_back({block.name, block.bytes, block.checksum});
  }
  const std::string text = document.dump();
  put(bytes_of(text));
  const Tail tail{tail_magic, text.size(), crc32c(bytes_of(text))};
  put(std::as_bytes(std::span(&tail, 1)));
  if (::fdatasync(file_) != 0) fail(beside_, "sync");
  std::error_code error;
  fs::rename(beside_, path_, error);
  if (error) throw io_error(fmt::format("{}: can't replace: {}", path_.string(), error.message()));
  ::close(std::exchange(file_, -1));
}

CheckpointReader::CheckpointReader(fs::path path) : path_(std::move(path)) {
  file_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) fail(path_, "read");
  struct stat info {};
  if (::fstat(file_, &info) != 0) fail(path_, "read");
  Tail tail;
  const auto size = static_cast<std::int64_t>(info.st_size);
  const std::int64_t tail_at = size - static_cast<std::int64_t>(sizeof tail);
  if (tail_at < 0) throw damaged(path_, "it ends early");
  get(tail_at, std::as_writable_bytes(std::span(&tail, 1)));
  if (tail.magic != tail_magic || tail.head_bytes > static_cast<std::uint64_t>(tail_at)) {
    throw damaged(path_, "it does not end as a checkpoint does");
  }
  std::string text(tail.head_bytes, ' ');
  get(tail_at - static_cast<std::int64_t>(text.size()), std::as_writable_bytes(std::span(text)));
  if (crc32c(bytes_of(text)) != tail.head_checksum) throw damaged(path_, "its head's checksum");
  try {
    const json document = json::parse(text);
    head_.run = document.at("run").get<std::string>();
    head_.mine = {document.at("mine").at(0).get<std::int64_t>(),
                  document.at("mine").at(1).get<std::int64_t>()};
    head_.added = set_of(document.at("added"));
    head_.valued = set_of(document.at("valued"));
    for (const auto& [name, rows] : document.at("rows").items()) head_.rows[name] = set_of(rows);
    std::int64_t offset = 0;
    for (const json& block : document.at("blocks")) {
      const auto bytes = block.at(1).get<std::size_t>();
      blocks_[block.at(0).get<std::string>()] = {offset, bytes, block.at(2).get<std::uint32_t>()};
      offset += static_cast<std::int64_t>(bytes);
    }
  } catch (const json::exception& error) {
    throw damaged(path_, error.what());
  }
}

CheckpointReader::~CheckpointReader() { ::close(file_); }

std::vector<std::string> CheckpointReader::names() const {
  std::vector<std::string> names;
  for (const auto& [name, block] : blocks_) names.push_back(name);
  return names;
}

void CheckpointReader::get(std::int64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t got = ::pread(file_, out.data(), out.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, "read");
    if (got == 0) throw damaged(path_, "it ends early");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += got;
  }
}

void CheckpointReader::read_bytes(const std::string& name, std::span<std::byte> out) const {
  const auto at = blocks_.find(name);
  if (at == blocks_.end() || at->second.bytes != out.size()) {
    throw damaged(path_, fmt::format("{} has {} bytes, expected {}", name,
                                     at == blocks_.end() ? 0 : at->second.bytes, out.size()));
  }
  get(at->second.offset, out);
  if (crc32c(out) != at->second.checksum) throw damaged(path_, name + "'s checksum");
}

}  // namespace cellmill
