#include "storage/zip_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/zarr_files.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

constexpr std::uint16_t method_stored = 0;
constexpr std::uint16_t method_deflated = 8;

/// A stored file: a range of the archive.
class StoredMember final : public ByteSource {
 public:
  StoredMember(std::shared_ptr<const ByteSource> archive, std::int64_t offset, std::int64_t size)
      : archive_(std::move(archive)), offset_(offset), size_(size) {}
  [[nodiscard]] std::int64_t size() const override { return size_; }
  void read(std::int64_t offset, std::span<std::byte> out) const override {
    if (offset < 0 || offset > size_ || static_cast<std::int64_t>(out.size()) > size_ - offset) {
      throw input_error(fmt::format("ends at byte {}", grouped(size_)));
    }
    archive_->read(offset_ + offset, out);
  }

 private:
  std::shared_ptr<const ByteSource> archive_;
  std::int64_t offset_;
  std::int64_t size_;
};

/// A deflated file, inflated.
class InflatedMember final : public ByteSource {
 public:
  explicit InflatedMember(Bytes bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::int64_t size() const override {
    return static_cast<std::int64_t>(bytes_.size());
  }
  void read(std::int64_t offset, std::span<std::byte> out) const override {
    if (offset < 0 || offset > size() || static_cast<std::int64_t>(out.size()) > size() - offset) {
      throw input_error(fmt::format("ends at byte {}", grouped(size())));
    }
    if (!out.empty()) std::memcpy(out.data(), bytes_.data() + offset, out.size());
  }
  [[nodiscard]] std::int64_t held_bytes() const override { return size(); }

 private:
  Bytes bytes_;
};

void check_method(const ZipMember& member) {
  if (member.encrypted) throw input_error("is encrypted, which is not supported");
  if (member.method == method_deflated) return;
  if (member.method != method_stored) {
    throw input_error(
        fmt::format("is compressed by zip's method {}; only stored and deflated "
                    "files are supported",
                    member.method));
  }
  if (member.size != member.packed) {
    throw input_error(
        fmt::format("has {} bytes, expected {}", grouped(member.packed), grouped(member.size)));
  }
}

}  // namespace

ZipStore::ZipStore(const fs::path& path) : ZipStore(path.string(), InputFile::open(path)) {}

ZipStore::ZipStore(std::string path, std::shared_ptr<const ByteSource> archive)
    : path_(std::move(path)), archive_(std::move(archive)) {
  if (!archive_) throw not_found_error(path_ + ": there is no such file");
  directory_ = with_context(path_, [&] { return read_zip_directory(*archive_); });
}

std::string ZipStore::place(const std::string& key) const {
  return key.empty() ? path_ : path_ + "/" + key;
}

const ZipMember* ZipStore::find(const std::string& key) const {
  const auto found = directory_.find(key);
  return found == directory_.end() ? nullptr : &found->second;
}

bool ZipStore::exists(const std::string& key) const {
  if (key.empty() || find(key) != nullptr) return true;
  const auto below = directory_.lower_bound(key + "/");
  return below != directory_.end() && below->first.starts_with(key + "/");
}

std::int64_t ZipStore::size(const std::string& key) const {
  const ZipMember* const member = find(key);
  return member == nullptr ? 0 : member->size;
}

void ZipStore::unpack(const ZipMember& member, Bytes& to) const {
  check_method(member);
  const std::int64_t offset = zip_data_offset(*archive_, member);
  if (member.method == method_stored) {
    resize_for_reuse(to, static_cast<std::size_t>(member.size));
    archive_->read(offset, to);
  } else {
    Bytes packed(static_cast<std::size_t>(member.packed));
    archive_->read(offset, packed);
    // No deflated bytes give more than 1,032 each: room is made for what can be, not for a claim.
    if (member.size / 1032 > member.packed) {
      throw input_error(fmt::format("claims to inflate from {} to {} bytes, which is impossible",
                                    grouped(member.packed), grouped(member.size)));
    }
    resize_for_reuse(to, static_cast<std::size_t>(member.size));
    inflate_raw(packed, to);
  }
  if (const std::uint32_t found = crc32(to); found != member.crc) {
    throw input_error(fmt::format("crc32 is {:08x}, expected {:08x}", found, member.crc));
  }
}

bool ZipStore::read_into(const std::string& key, std::int64_t most, Bytes& out) const {
  const ZipMember* const member = find(key);
  if (member == nullptr) return false;
  with_context(place(key), [&] {
    check_most(member->size, most);
    unpack(*member, out);
  });
  return true;
}

std::unique_ptr<ByteSource> ZipStore::open(const std::string& key) const {
  const ZipMember* const member = find(key);
  if (member == nullptr) return nullptr;
  return with_context(place(key), [&]() -> std::unique_ptr<ByteSource> {
    check_method(*member);
    if (member->method == method_deflated) {
      Bytes bytes;
      unpack(*member, bytes);
      return std::make_unique<InflatedMember>(std::move(bytes));
    }
    return std::make_unique<StoredMember>(archive_, zip_data_offset(*archive_, *member),
                                          member->size);
  });
}

std::vector<std::string> ZipStore::folders(const std::string& key) const {
  const std::string prefix = key.empty() ? key : key + "/";
  std::vector<std::string> names;
  for (auto at = directory_.lower_bound(prefix);
       at != directory_.end() && at->first.starts_with(prefix);) {
    const std::size_t slash = at->first.find('/', prefix.size());
    if (slash == std::string::npos) {
      ++at;
      continue;
    }
    if (slash > prefix.size()) {
      names.push_back(at->first.substr(prefix.size(), slash - prefix.size()));
    }
    // Past all that lies in that folder: '0' is what follows '/'.
    at = directory_.lower_bound(at->first.substr(0, slash) + '0');
  }
  std::sort(names.begin(), names.end());  // 'a-b/' comes before 'a/'
  return names;
}

bool is_zip_file(const fs::path& path) {
  const auto file = InputFile::open(path);
  if (!file || file->size() < 4) return false;
  std::byte head[4];
  file->read(0, head);
  return std::memcmp(head, "PK\3\4", sizeof head) == 0;
}

}  // namespace cellmill
