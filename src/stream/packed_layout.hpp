#pragma once

#include <cstdint>

namespace cellmill {

// The layout of packed rows (packed_rows.hpp), as packing and unpacking share it.

inline constexpr std::uint64_t packed_magic = 0x31776f726b636170ULL;  // "packrow1"
inline constexpr std::int32_t far_step = 255;
inline constexpr std::uint8_t exception_field =
    0;  // an explicit zero is rare enough to be an exception

struct PackedHeader {
  std::uint64_t magic = packed_magic;
  std::int64_t rows = 0;
  std::int64_t nnz = 0;
  std::int64_t exceptions = 0;
  std::int64_t index_bytes = 0;
  std::int64_t first_row = 0;
};

}  // namespace cellmill
