#pragma once

#include <cstdint>

#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

// The inner loops of the codec, for one instruction set each. This header is included where nothing
// inline may be: no standard library.

/// Elements on their way past the caches, which takes whole lines: those that don't fill one yet.
struct PackedCarry {
  alignas(64) std::uint32_t line[16] = {};
  std::uint32_t* at = nullptr;  ///< where the line goes
  std::uint32_t begin = 0;      ///< elements [begin, end) of it are held
  std::uint32_t end = 0;
};

/// The streams of one fragment of n values. A value of 32 bits is split: its lowest `low_bits` are
/// fields of their own, and its high part h goes down from level to level. A field of level i holds
/// h less the escapes before; all ones say that the next level has it. What no level holds is one
/// of `bytes`, as it is, and what is no less than 255 has its whole value among `large`.
struct PackedFragment {
  std::uint32_t n;
  std::uint32_t base;  ///< the first column, or what all counts are less than they should be
  std::uint32_t low_bits;
  std::uint32_t widths[3];
  const std::uint8_t* low;  ///< n fields
  const std::uint8_t* level[3];
  const std::uint8_t* bytes;
  const std::uint8_t* large;  ///< little-endian, 32 bits each
  std::uint32_t escapes[4];   ///< fields of level 1, of level 2, bytes, large values
  const std::uint8_t* end;    ///< of what may be read: the chunk's, at or after the fragment's
  std::uint8_t* scratch;      ///< packed_scratch(n) bytes
  PackedCarry* carry;         ///< null: elements go to the caches, else maybe past them
};

/// Bytes that unpacking n values wants to itself.
constexpr std::uint64_t packed_scratch(std::uint64_t n) { return 2 * (n + 64); }

/// Where a fragment's values are split to: streams in buffers of their own, each with room for what
/// n values can need (n fields, n bytes, n large values) and 64 bytes more, which may be
/// overwritten.
struct PackedSplit {
  std::uint32_t low_bits;
  std::uint32_t widths[3];
  std::uint8_t* low;
  std::uint8_t* level[3];
  std::uint8_t* bytes;
  std::uint8_t* large;
  std::uint32_t escapes[4];  ///< as in PackedFragment; set by the splitter
};

/// Unpackers write n elements and nothing else (to their carry, in part), and return whether the
/// streams were used up exactly; they stay inside fragment and output whatever the streams hold.
struct PackedKernels {
  /// Columns: the first is `base`, each value is what lies between a column and the one before.
  bool (*columns)(const PackedFragment& fragment, std::int32_t* out);
  /// Counts: each value and `base`.
  bool (*counts)(const PackedFragment& fragment, std::uint32_t* out);
  bool (*float_counts)(const PackedFragment& fragment, float* out);
  /// Writes what a carry holds. Elements are where they belong, for all threads, only then.
  void (*flush)(PackedCarry& carry);
  /// Elements as whole numbers; whether all are that, from 0 to 2^32 − 1.
  bool (*float_integers)(const float* elements, std::uint32_t n, std::uint32_t* integers);
  /// What lies between n ≥ 1 columns, 0 for the first; whether they rise, and none is negative.
  bool (*gaps)(const std::uint32_t* columns, std::uint32_t n, std::uint32_t* gaps);
  /// Takes the least of n ≥ 1 values from all, and returns it.
  std::uint32_t (*less_least)(std::uint32_t* values, std::uint32_t n);
  /// Splits n values; bits of a last byte that no field fills are zero.
  void (*split)(const std::uint32_t* values, std::uint32_t n, PackedSplit& to);
};

extern const PackedKernels packed_plain;
extern const PackedKernels packed_avx2;
extern const PackedKernels packed_avx512;

/// The quickest of these that this processor can run and that are not above the level.
[[nodiscard]] const PackedKernels& packed_kernels(CpuLevel level = CpuLevel::best);

}  // namespace cellmill
