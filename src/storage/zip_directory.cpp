#include "storage/zip_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

// Records of the format (APPNOTE.TXT of PKWARE, sections 4.3 and 4.5); all numbers little-endian.
constexpr std::uint32_t local_signature = 0x04034b50;
constexpr std::uint32_t entry_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50;
constexpr std::uint32_t locator64_signature = 0x07064b50;
constexpr std::uint32_t end64_signature = 0x06064b50;
constexpr std::int64_t local_bytes = 30;
constexpr std::size_t entry_bytes = 46;
constexpr std::int64_t end_bytes = 22;
constexpr std::int64_t locator64_bytes = 20;
constexpr std::int64_t end64_bytes = 56;
constexpr std::uint16_t in_zip64_16 = 0xFFFF;
constexpr std::uint32_t in_zip64_32 = 0xFFFFFFFF;

[[noreturn]] void corrupt(const std::string& what) {
  throw input_error("the zip archive is corrupt: " + what);
}

/// Numbers one after the other.
class Fields {
 public:
  Fields(std::span<const std::byte> bytes, std::size_t at) : bytes_(bytes), at_(at) {}

  template <class T>
  T next() {
    if (sizeof(T) > bytes_.size() - at_) corrupt("a record ends early");
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      value |= std::to_integer<std::uint64_t>(bytes_[at_ + i]) << (8 * i);
    }
    at_ += sizeof(T);
    return static_cast<T>(value);
  }
  std::string_view text(std::size_t length) {
    if (length > bytes_.size() - at_) corrupt("its directory ends early");
    const auto* begin = reinterpret_cast<const char*>(bytes_.data() + at_);
    at_ += length;
    return {begin, length};
  }
  Fields part(std::size_t length) {
    if (length > bytes_.size() - at_) corrupt("its directory ends early");
    Fields taken(bytes_.first(at_ + length), at_);
    at_ += length;
    return taken;
  }
  void skip(std::size_t length) { (void)part(length); }
  [[nodiscard]] std::size_t left() const { return bytes_.size() - at_; }

 private:
  std::span<const std::byte> bytes_;
  std::size_t at_;
};

std::int64_t signed_size(std::uint64_t value) {
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    corrupt("a size or offset is above 2^63");
  }
  return static_cast<std::int64_t>(value);
}

Bytes read_at(const ByteSource& archive, std::int64_t offset, std::int64_t size) {
  Bytes bytes(static_cast<std::size_t>(size));
  archive.read(offset, bytes);
  return bytes;
}

/// Where the directory lies, and how many entries it has.
struct Place {
  std::uint64_t entries = 0;
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

/// What the record of zip64 says, if a locator stands in front of the end record.
std::optional<Place> place64(const ByteSource& archive, std::int64_t end) {
  if (end < locator64_bytes + end64_bytes) return std::nullopt;
  const Bytes locator = read_at(archive, end - locator64_bytes, locator64_bytes);
  Fields at(locator, 0);
  if (at.next<std::uint32_t>() != locator64_signature) return std::nullopt;
  at.skip(4);
  const std::int64_t offset = signed_size(at.next<std::uint64_t>());
  if (offset > end - locator64_bytes - end64_bytes) corrupt("its zip64 record lies outside");
  const Bytes record = read_at(archive, offset, end64_bytes);
  Fields fields(record, 0);
  if (fields.next<std::uint32_t>() != end64_signature) corrupt("it has no zip64 record");
  fields.skip(8 + 2 + 2);
  if (fields.next<std::uint32_t>() != 0 || fields.next<std::uint32_t>() != 0) {
    throw input_error("zip archives in several parts are not supported");
  }
  fields.skip(8);
  Place place;
  place.entries = fields.next<std::uint64_t>();
  place.size = signed_size(fields.next<std::uint64_t>());
  place.offset = signed_size(fields.next<std::uint64_t>());
  return place;
}

Place find_directory(const ByteSource& archive) {
  constexpr std::int64_t longest_comment = 0xFFFF;
  const std::int64_t tail_size = std::min(archive.size(), end_bytes + longest_comment);
  const Bytes tail = read_at(archive, archive.size() - tail_size, tail_size);
  for (std::int64_t at = tail_size - end_bytes; at >= 0; --at) {
    Fields fields(tail, static_cast<std::size_t>(at));
    if (fields.next<std::uint32_t>() != end_signature) continue;
    const auto disk = fields.next<std::uint16_t>();
    const auto first_disk = fields.next<std::uint16_t>();
    fields.skip(2);
    Place place;
    place.entries = fields.next<std::uint16_t>();
    place.size = fields.next<std::uint32_t>();
    place.offset = fields.next<std::uint32_t>();
    const auto comment = fields.next<std::uint16_t>();
    // The signature may occur in the comment itself.
    if (comment != fields.left()) continue;
    const std::int64_t end = archive.size() - tail_size + at;
    const bool large =
        place.entries == in_zip64_16 || place.size == in_zip64_32 || place.offset == in_zip64_32;
    if (large) place = place64(archive, end).value_or(place);
    if (!large && (disk != 0 || first_disk != 0)) {
      throw input_error("zip archives in several parts are not supported");
    }
    if (place.offset > end || place.size > end - place.offset ||
        place.entries > static_cast<std::uint64_t>(place.size) / entry_bytes) {
      corrupt(fmt::format("its directory of {} bytes at {} does not fit into {}",
                          grouped(place.size), grouped(place.offset), grouped(end)));
    }
    return place;
  }
  throw input_error("is no zip archive, or it is cut off");
}

/// Zip64 keeps in an extra field what does not fit into 32 bits, in this order.
void take_zip64(Fields extra, ZipMember& member) {
  while (extra.left() >= 4) {
    const auto id = extra.next<std::uint16_t>();
    Fields body = extra.part(extra.next<std::uint16_t>());
    if (id != 1) continue;
    for (std::int64_t* value : {&member.size, &member.packed, &member.header}) {
      if (*value == in_zip64_32) *value = signed_size(body.next<std::uint64_t>());
    }
    return;
  }
}

void check_name(std::string_view name) {
  const bool odd = name.empty() || name.front() == '/' ||
                   name.find('\\') != std::string_view::npos ||
                   name.find('\0') != std::string_view::npos;
  bool leaves = false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    leaves = leaves || name.substr(begin, end - begin) == "..";
    begin = end + 1;
  }
  if (odd || leaves) {
    throw input_error(
        fmt::format("the zip archive holds a file named '{}', which is refused: "
                    "names may not be absolute, nor hold '..' or a backslash",
                    name));
  }
}

}  // namespace

ZipDirectory read_zip_directory(const ByteSource& archive) {
  const Place place = find_directory(archive);
  const Bytes bytes = read_at(archive, place.offset, place.size);
  Fields fields(bytes, 0);
  ZipDirectory directory;
  for (std::uint64_t i = 0; i < place.entries; ++i) {
    if (fields.next<std::uint32_t>() != entry_signature) {
      corrupt(fmt::format("entry {} of its directory is none", i));
    }
    ZipMember member;
    fields.skip(4);
    const auto flags = fields.next<std::uint16_t>();
    member.encrypted = (flags & 1U) != 0;
    member.method = fields.next<std::uint16_t>();
    fields.skip(4);
    member.crc = fields.next<std::uint32_t>();
    member.packed = fields.next<std::uint32_t>();
    member.size = fields.next<std::uint32_t>();
    const auto name_length = fields.next<std::uint16_t>();
    const auto extra_length = fields.next<std::uint16_t>();
    const auto comment_length = fields.next<std::uint16_t>();
    fields.skip(8);
    member.header = fields.next<std::uint32_t>();
    const std::string_view name = fields.text(name_length);
    take_zip64(fields.part(extra_length), member);
    fields.skip(comment_length);
    check_name(name);
    if (name.back() == '/') continue;
    if (member.header > place.offset || member.packed > place.offset - member.header) {
      corrupt(fmt::format("'{}', {} bytes at {}, lies outside", name, grouped(member.packed),
                          grouped(member.header)));
    }
    directory.insert_or_assign(std::string(name), member);
  }
  return directory;
}

std::int64_t zip_data_offset(const ByteSource& archive, const ZipMember& member) {
  // Its name and extra field are as long as the local header says, not as the directory does.
  if (archive.size() < local_bytes || member.header > archive.size() - local_bytes) {
    corrupt("a file's header lies outside");
  }
  const Bytes header = read_at(archive, member.header, local_bytes);
  Fields fields(header, 0);
  if (fields.next<std::uint32_t>() != local_signature) corrupt("a file's header is none");
  fields.skip(22);
  const auto name_length = fields.next<std::uint16_t>();
  const auto extra_length = fields.next<std::uint16_t>();
  const std::int64_t data = member.header + local_bytes + name_length + extra_length;
  if (data > archive.size() || member.packed > archive.size() - data) {
    corrupt("a file's bytes lie outside");
  }
  return data;
}

}  // namespace cellmill
