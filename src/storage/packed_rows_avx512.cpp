// Compiled for AVX-512 with VBMI, VBMI2 and VNNI: 64 values at a time, a byte each. Bound by about
// 30 vector instructions for 64 counts and 60 for 64 columns; then by the stores.
#include <immintrin.h>

#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

namespace {

using Bytes64 = __m512i;  // 64 unsigned bytes

constexpr std::uint64_t kGroup = 64;

/// Tables over the eight-byte words of a vector, for fields of 0 to 8 bits.
struct FieldTables {
  /// Where the bytes of the word's eight fields begin: byte j of word q is byte q·bits + j.
  alignas(64) std::uint8_t gather[9][64];
  /// Where in the word a field begins.
  std::uint64_t shifts[9];
};

constexpr FieldTables make_tables() {
  FieldTables tables{};
  for (std::uint32_t bits = 0; bits <= 8; ++bits) {
    for (std::uint32_t i = 0; i < 64; ++i) {
      tables.gather[bits][i] = static_cast<std::uint8_t>((i / 8 * bits + i % 8) % 64);
    }
    for (std::uint32_t i = 0; i < 8; ++i) {
      tables.shifts[bits] |= std::uint64_t{i * bits} << (8 * i);
    }
  }
  return tables;
}

constexpr FieldTables kTables = make_tables();

__mmask64 first_lanes(std::uint64_t count) {
  return _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(count));
}

/// 64 bytes, or those before the end of what may be read.
Bytes64 load(const std::uint8_t* at, const std::uint8_t* end) {
  const std::int64_t left = end - at;
  if (__builtin_expect(left >= 64, 1)) return _mm512_loadu_si512(at);
  return _mm512_maskz_loadu_epi8(left <= 0 ? 0 : first_lanes(static_cast<std::uint64_t>(left)), at);
}

/// A stream of fields.
struct Fields {
  const std::uint8_t* stream;
  const std::uint8_t* end;
  std::uint64_t group_bytes;
  Bytes64 gather;
  Bytes64 shifts;
  Bytes64 ones;  // of one field, in every byte

  Fields(const std::uint8_t* at, std::uint32_t bits, const std::uint8_t* stop)
      : stream(at),
        end(stop),
        group_bytes(8 * bits),
        gather(_mm512_load_si512(kTables.gather[bits])),
        shifts(_mm512_set1_epi64(static_cast<long long>(kTables.shifts[bits]))),
        ones(_mm512_set1_epi8(static_cast<char>((1U << bits) - 1))) {}

  /// The next 64 fields.
  Bytes64 next() {
    const Bytes64 words = _mm512_permutexvar_epi8(gather, load(stream, end));
    stream += group_bytes;
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, words), ones);
  }
};

/// Which lanes of a group count: all, or the first ones.
struct AllLanes {
  static std::uint64_t of(__mmask64 lanes) { return lanes; }
  static void store(std::int32_t* out, int /*part*/, __m512i values) {
    _mm512_storeu_si512(out, values);
  }
  static void store(std::uint32_t* out, int /*part*/, __m512i values) {
    _mm512_storeu_si512(out, values);
  }
  static void store(float* out, int /*part*/, __m512i values) {
    _mm512_storeu_ps(out, _mm512_cvtepu32_ps(values));
  }
};
struct FirstLanes {
  std::uint64_t live;
  std::uint64_t of(__mmask64 lanes) const { return lanes & live; }
  __mmask16 of_part(int part) const { return static_cast<__mmask16>(live >> (16 * part)); }
  void store(std::int32_t* out, int part, __m512i values) const {
    _mm512_mask_storeu_epi32(out, of_part(part), values);
  }
  void store(std::uint32_t* out, int part, __m512i values) const {
    _mm512_mask_storeu_epi32(out, of_part(part), values);
  }
  void store(float* out, int part, __m512i values) const {
    _mm512_mask_storeu_ps(out, of_part(part), _mm512_cvtepu32_ps(values));
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

/// Hands what n fields of a level stand for to `take`, 64 a time: themselves, or for each that is
/// all ones the next of `further`, which is `further_count` bytes that more may be read behind.
/// Returns whether those are as many as the escapes.
template <class Take>
bool for_level(Fields fields, std::uint64_t n, std::uint32_t before, const std::uint8_t* further,
               std::uint64_t further_count, const std::uint8_t* further_end, Take take) {
  const Bytes64 held_before = _mm512_set1_epi8(static_cast<char>(before));
  std::uint64_t used = 0;
  const bool taken = for_groups(n, [&](std::uint64_t begin, auto live) {
    const Bytes64 found = fields.next();
    const std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(found, fields.ones));
    const Bytes64 value = _mm512_mask_expand_epi8(_mm512_add_epi8(found, held_before), escaped,
                                                  load(further + used, further_end));
    used += static_cast<std::uint64_t>(_mm_popcnt_u64(escaped));
    return take(begin, value, live);
  });
  return taken && used == further_count;
}

/// Hands the high parts of a fragment's values to `take`, 64 at a time; 255 stands for a large
/// value. The levels are joined from the last one up: each is less than half as long as the one
/// before, as a rule.
template <class Take>
bool for_high_parts(const PackedFragment& fragment, Take take) {
  const std::uint64_t room = fragment.n + kGroup;
  std::uint8_t* const joined2 = fragment.scratch;
  std::uint8_t* const joined1 = fragment.scratch + room;
  const auto put_to = [](std::uint8_t* to) {
    return [to](std::uint64_t begin, Bytes64 bytes, auto /*live*/) {
      _mm512_storeu_si512(to + begin, bytes);
      return true;
    };
  };
  const std::uint32_t(&escapes)[4] = fragment.escapes;
  const std::uint32_t before1 = (1U << fragment.widths[0]) - 1;
  const std::uint32_t before2 = before1 + (1U << fragment.widths[1]) - 1;
  const auto level = [&](int i) {
    return Fields(fragment.level[i], fragment.widths[i], fragment.end);
  };
  return for_level(level(2), escapes[1], before2, fragment.bytes, escapes[2], fragment.end,
                   put_to(joined2)) &&
         for_level(level(1), escapes[0], before1, joined2, escapes[1], joined2 + room,
                   put_to(joined1)) &&
         for_level(level(0), fragment.n, 0, joined1, escapes[0], joined1 + room, take);
}

/// The next of the large values; false if there is none.
bool take_large(const PackedFragment& fragment, std::uint32_t& used, std::uint32_t& value) {
  if (used >= fragment.escapes[3]) return false;
  __builtin_memcpy(&value, fragment.large + std::uint64_t{4} * used++, 4);
  return true;
}

/// Bytes 16 · part and on of 64, each as 32 bits.
Bytes64 widen_control(int part) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(lanes, _mm512_set1_epi32(16 * part));
}
__m512i widen(Bytes64 bytes, Bytes64 control) {
  return _mm512_maskz_permutexvar_epi8(0x1111111111111111U, control, bytes);
}

template <class Out>
bool counts(const PackedFragment& fragment, Out* out) {
  Fields low(fragment.low, fragment.low_bits, fragment.end);
  const Bytes64 controls[4] = {widen_control(0), widen_control(1), widen_control(2),
                               widen_control(3)};
  const __m512i base = _mm512_set1_epi32(static_cast<int>(fragment.base));
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(fragment.low_bits));
  const Bytes64 escape = _mm512_set1_epi8(-1);
  std::uint32_t large = 0;
  const auto unpack_group = [&](std::uint64_t begin, Bytes64 high, auto live) {
    Out* const to = out + begin;
    if (fragment.low_bits == 0) {
      for (int part = 0; part < 4; ++part) {
        live.store(to + 16 * part, part, _mm512_add_epi32(widen(high, controls[part]), base));
      }
    } else {
      const Bytes64 lows = low.next();
      for (int part = 0; part < 4; ++part) {
        const __m512i shifted = _mm512_sll_epi32(widen(high, controls[part]), low_bits);
        const __m512i value = _mm512_or_si512(shifted, widen(lows, controls[part]));
        live.store(to + 16 * part, part, _mm512_add_epi32(value, base));
      }
    }
    std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(high, escape));
    for (; __builtin_expect(escaped != 0, 0); escaped &= escaped - 1) {
      std::uint32_t value = 0;
      if (!take_large(fragment, large, value)) return false;
      to[_tzcnt_u64(escaped)] = static_cast<Out>(value + fragment.base);
    }
    return true;
  };
  return for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
}

/// Sums over gaps: each of four bytes in 32 bits counts for the lanes from its own on.
__m512i steps(std::uint32_t weight) {
  return _mm512_set4_epi32(static_cast<int>(weight * 0x01010101U),
                           static_cast<int>(weight * 0x00010101U),
                           static_cast<int>(weight * 0x00000101U), static_cast<int>(weight));
}

/// Columns of a group that holds a large gap: one by one.
bool unpack_large_columns(const PackedFragment& fragment, std::uint64_t begin, Bytes64 high,
                          Bytes64 low_and_one, std::uint32_t& large, std::uint32_t& column,
                          std::int32_t* out) {
  alignas(64) std::uint8_t highs[kGroup];
  alignas(64) std::uint8_t lows[kGroup];
  _mm512_store_si512(highs, high);
  _mm512_store_si512(lows, low_and_one);
  for (std::uint64_t i = 0; i < kGroup && begin + i < fragment.n; ++i) {
    std::uint32_t step = (static_cast<std::uint32_t>(highs[i]) << fragment.low_bits) + lows[i];
    if (highs[i] == 255) {
      if (!take_large(fragment, large, step)) return false;
      ++step;
    }
    column += step;
    out[begin + i] = static_cast<std::int32_t>(column);
  }
  return true;
}

bool columns(const PackedFragment& fragment, std::int32_t* out) {
  Fields low(fragment.low, fragment.low_bits, fragment.end);
  const __m512i quarter = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  __m512i spread[4];
  for (int part = 0; part < 4; ++part)
    spread[part] = _mm512_add_epi32(quarter, _mm512_set1_epi32(4 * part));
  const __m512i last = _mm512_set1_epi32(15);
  const __m512i zero = _mm512_setzero_si512();
  const Bytes64 one = _mm512_set1_epi8(1);
  const std::uint32_t weight = 1U << fragment.low_bits;
  const Bytes64 weights = _mm512_set1_epi8(static_cast<char>(weight));
  const __m512i low_steps = steps(1);
  const __m512i high_steps = steps(weight);
  const Bytes64 escape = _mm512_set1_epi8(-1);
  __m512i before = _mm512_set1_epi32(static_cast<int>(fragment.base - 1));  // the column
  std::uint32_t large = 0;
  const auto unpack_group = [&](std::uint64_t begin, Bytes64 high, auto live) {
    const Bytes64 lows = _mm512_add_epi8(low.next(), one);
    if (__builtin_expect(live.of(_mm512_cmpeq_epi8_mask(high, escape)) != 0, 0)) {
      auto column = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(before)));
      if (!unpack_large_columns(fragment, begin, high, lows, large, column, out)) return false;
      before = _mm512_set1_epi32(static_cast<int>(column));
      return true;
    }
    // Sums of four gaps, and of all fours up to each.
    const __m512i fours = _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(zero, lows, one), high, weights);
    __m512i sums = _mm512_add_epi32(fours, _mm512_alignr_epi32(fours, zero, 15));
    sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 14));
    sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 12));
    sums = _mm512_add_epi32(sums, _mm512_alignr_epi32(sums, zero, 8));
    const __m512i begins = _mm512_add_epi32(before, _mm512_sub_epi32(sums, fours));
    before = _mm512_add_epi32(before, _mm512_permutexvar_epi32(last, sums));
    for (int part = 0; part < 4; ++part) {
      __m512i column = _mm512_permutexvar_epi32(spread[part], begins);
      column = _mm512_dpbusd_epi32(column, _mm512_permutexvar_epi32(spread[part], lows), low_steps);
      column =
          _mm512_dpbusd_epi32(column, _mm512_permutexvar_epi32(spread[part], high), high_steps);
      live.store(out + begin + 16 * part, part, column);
    }
    return true;
  };
  return for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
}

}  // namespace

const PackedKernels kPackedAvx512 = {&columns, &counts<std::uint32_t>, &counts<float>,
                                     kPackedPlain.split};

}  // namespace cellmill
