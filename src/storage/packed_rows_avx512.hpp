#pragma once

// For files compiled for AVX-512 alone: what unpacking and packing by it share.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12's own intrinsics (its bug 105593)
#endif
#include <immintrin.h>

#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

namespace {

using Bytes64 = __m512i;  // 64 unsigned bytes

constexpr std::uint64_t kGroup = 64;

/// Tables over the eight-byte words of a vector, for fields of 0 to 7 bits.
struct FieldTables {
  /// The bytes of eight fields to a word of their own: byte j of word q is byte q·bits + j.
  alignas(64) std::uint8_t gather[8][64];
  /// And back.
  alignas(64) std::uint8_t scatter[8][64];
  /// Where in the word a field begins.
  std::uint64_t shifts[8];
  alignas(64) std::uint16_t even_words[32];
};

constexpr FieldTables make_tables() {
  FieldTables tables{};
  for (std::uint32_t i = 0; i < 32; ++i) tables.even_words[i] = static_cast<std::uint16_t>(2 * i);
  for (std::uint32_t bits = 0; bits < 8; ++bits) {
    for (std::uint32_t i = 0; i < 64; ++i) {
      tables.gather[bits][i] = static_cast<std::uint8_t>(i / 8 * bits + i % 8);
      if (i < 8 * bits) {
        tables.scatter[bits][i] = static_cast<std::uint8_t>(i / bits * 8 + i % bits);
      }
    }
    for (std::uint32_t i = 0; i < 8; ++i) {
      tables.shifts[bits] |= std::uint64_t{i} * bits << (8 * i);
    }
  }
  return tables;
}

constexpr FieldTables kTables = make_tables();

inline __mmask64 first_lanes(std::uint64_t count) {
  return _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(count));
}

/// Which lanes of a group count: all, or the first ones.
struct AllLanes {
  static std::uint64_t of(__mmask64 lanes) { return lanes; }
};
struct FirstLanes {
  std::uint64_t live;
  [[nodiscard]] std::uint64_t of(__mmask64 lanes) const { return lanes & live; }
  /// Of 16 elements in 32 bits each.
  [[nodiscard]] __mmask16 of_part(std::uint64_t part) const {
    return static_cast<__mmask16>(live >> (16 * part));
  }
};

/// Whole groups of n, and what is left.
template <class Group>
bool for_groups(std::uint64_t n, Group group) {
  std::uint64_t begin = 0;
  for (; begin + kGroup <= n; begin += kGroup) {
    if (!group(begin, AllLanes{})) return false;
  }
  return begin == n || group(begin, FirstLanes{first_lanes(n - begin)});
}

}  // namespace

/// What packing by AVX-512 is made of.
namespace avx512 {
bool float_integers(const float* elements, std::uint32_t n, std::uint32_t* integers);
bool gaps(const std::uint32_t* columns, std::uint32_t n, std::uint32_t* gaps);
std::uint32_t less_least(std::uint32_t* values, std::uint32_t n);
void split(const std::uint32_t* values, std::uint32_t n, PackedSplit& to);
}  // namespace avx512

}  // namespace cellmill
