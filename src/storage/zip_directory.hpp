#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "storage/byte_store.hpp"

namespace cellmill {

/// A file in a zip archive, as the archive's directory has it.
struct ZipMember {
  std::uint16_t method = 0;  ///< 0 stored, 8 deflated
  bool encrypted = false;
  std::uint32_t crc = 0;
  std::int64_t packed = 0;  ///< bytes in the archive
  std::int64_t size = 0;    ///< bytes when unpacked
  std::int64_t header = 0;  ///< where its local header begins
};

/// Files by name; of a name that occurs more than once the last entry, as Python's zipfile has it.
using ZipDirectory = std::map<std::string, ZipMember, std::less<>>;

/// Reads the central directory, of zip64 too. \throws Error(input) for what is no zip archive, is
/// cut off or in parts, for names that lead out of it, and for offsets and sizes beyond the file
[[nodiscard]] ZipDirectory read_zip_directory(const ByteSource& archive);

/// Where a member's bytes begin, behind its local header. \throws Error(input) if they don't lie in
/// the archive
[[nodiscard]] std::int64_t zip_data_offset(const ByteSource& archive, const ZipMember& member);

}  // namespace cellmill
