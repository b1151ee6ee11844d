#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "storage/codecs.hpp"

namespace cellmill {

/// A zip archive made by hand, field by field, so that each can be wrong.
class ZipMaker {
 public:
  struct Member {
    std::string name;
    std::string packed;  ///< the bytes in the archive
    std::uint16_t method = 0;
    std::uint16_t flags = 0;
    std::uint32_t crc = 0;
    std::uint64_t size = 0;  ///< as declared
    std::int64_t moved = 0;  ///< added to the true offset of its header
    bool zip64 = false;
  };

  static Member stored(const std::string& name, const std::string& bytes) {
    return {name, bytes, 0, 0, crc32(std::as_bytes(std::span(bytes))), bytes.size(), 0, false};
  }

  static Member deflated(const std::string& name, const std::string& bytes) {
    const Bytes wrapped = deflate_zlib(std::as_bytes(std::span(bytes)), 6);
    // Two bytes of header in front, four of checksum behind.
    const std::string raw(reinterpret_cast<const char*>(wrapped.data()) + 2, wrapped.size() - 6);
    Member member = stored(name, bytes);
    member.packed = raw;
    member.method = 8;
    return member;
  }

  void add(const Member& member) {
    const std::uint64_t header = bytes_.size();
    put(bytes_, 0x04034b50, 4);
    put(bytes_, 20, 2);
    put(bytes_, member.flags, 2);
    put(bytes_, member.method, 2);
    put(bytes_, 0, 4);
    put(bytes_, member.crc, 4);
    put(bytes_, member.packed.size(), 4);
    put(bytes_, member.size, 4);
    put(bytes_, member.name.size(), 2);
    put(bytes_, 5, 2);  // an extra field that the directory does not have
    bytes_ += member.name + "extra" + member.packed;

    std::string extra;
    if (member.zip64) {
      put(extra, 0x7777, 2);  // some other field first
      put(extra, 1, 2);
      extra += 'x';
      put(extra, 1, 2);
      put(extra, 24, 2);
      put(extra, member.size, 8);
      put(extra, member.packed.size(), 8);
      put(extra, header + static_cast<std::uint64_t>(member.moved), 8);
    }
    const auto number = [&](std::uint64_t value) {
      put(directory_, member.zip64 ? 0xFFFFFFFF : value, 4);
    };
    put(directory_, 0x02014b50, 4);
    put(directory_, 0, 4);
    put(directory_, member.flags, 2);
    put(directory_, member.method, 2);
    put(directory_, 0, 4);
    put(directory_, member.crc, 4);
    number(member.packed.size());
    number(member.size);
    put(directory_, member.name.size(), 2);
    put(directory_, extra.size(), 2);
    put(directory_, 3, 2);
    put(directory_, 0, 8);
    number(header + static_cast<std::uint64_t>(member.moved));
    directory_ += member.name + extra + "ccc";
    ++count_;
  }

  /// The archive so far. \param directory_moved added to the directory's true offset
  [[nodiscard]] std::string bytes(bool zip64 = false, std::int64_t directory_moved = 0,
                                  const std::string& comment = "") const {
    std::string all = bytes_ + directory_;
    const std::uint64_t offset = bytes_.size() + static_cast<std::uint64_t>(directory_moved);
    const std::uint64_t end64 = all.size();
    if (zip64) {
      put(all, 0x06064b50, 4);
      put(all, 44, 8);
      put(all, 0, 4);
      put(all, 0, 8);
      put(all, count_, 8);
      put(all, count_, 8);
      put(all, directory_.size(), 8);
      put(all, offset, 8);
      put(all, 0x07064b50, 4);
      put(all, 0, 4);
      put(all, end64, 8);
      put(all, 1, 4);
    }
    put(all, 0x06054b50, 4);
    put(all, 0, 4);
    put(all, zip64 ? 0xFFFF : count_, 2);
    put(all, zip64 ? 0xFFFF : count_, 2);
    put(all, zip64 ? 0xFFFFFFFF : directory_.size(), 4);
    put(all, zip64 ? 0xFFFFFFFF : offset, 4);
    put(all, comment.size(), 2);
    return all + comment;
  }

  static void write(const std::filesystem::path& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

 private:
  static void put(std::string& to, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) to.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
  }

  std::string bytes_;
  std::string directory_;
  std::uint64_t count_ = 0;
};

}  // namespace cellmill
