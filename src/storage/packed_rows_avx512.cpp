// Compiled for AVX-512 with VBMI, VBMI2 and VNNI: 64 values at a time, a byte each. Bound by about
// 30 vector instructions for 64 counts and 60 for 64 columns; then by the stores.
#include <immintrin.h>

#include "storage/packed_rows_kernels.hpp"
#include "storage/packed_rows_loops.hpp"

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
  static __m512i load(const std::uint32_t* from, int /*part*/) { return _mm512_loadu_si512(from); }
  static Bytes64 clear(Bytes64 bytes, Bytes64 /*instead*/) { return bytes; }
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
  __m512i load(const std::uint32_t* from, int part) const {
    return _mm512_maskz_loadu_epi32(of_part(part), from);
  }
  /// So that what does not count becomes zeros in the streams.
  Bytes64 clear(Bytes64 bytes, Bytes64 instead) const {
    return _mm512_mask_blend_epi8(live, instead, bytes);
  }
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

/// Packs a group of fields into its first bytes: pairs, fours, then all eight of a word.
struct FieldPacker {
  std::uint32_t bits;
  Bytes64 scatter;  // the other way round than gather
  Bytes64 pairs;
  Bytes64 fours;
  __m128i eights;

  explicit FieldPacker(std::uint32_t width)
      : bits(width),
        scatter(_mm512_load_si512(kTables.scatter[width])),
        pairs(_mm512_set1_epi16(static_cast<short>(1 | 0x100 << width))),
        fours(_mm512_set1_epi32(1 | 0x10000 << (2 * width))),
        eights(_mm_cvtsi32_si128(static_cast<int>(32 - 4 * width))) {}

  /// Writes 64 bytes, of which 8 · bits count, and returns where they end.
  std::uint8_t* put(Bytes64 fields, std::uint8_t* out) const {
    const __m512i sums = _mm512_madd_epi16(_mm512_maddubs_epi16(pairs, fields), fours);
    // The upper four fields of each word down to the lower four.
    const __m512i upper = _mm512_srl_epi64(
        _mm512_and_si512(sums, _mm512_set1_epi64(static_cast<long long>(0xFFFFFFFF00000000U))),
        eights);
    const __m512i lower = _mm512_and_si512(sums, _mm512_set1_epi64(0xFFFFFFFF));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi8(scatter, _mm512_or_si512(upper, lower)));
    return out + 8 * bits;
  }
};

/// The lowest bytes of four vectors of 32 bits.
Bytes64 narrow(const __m512i (&parts)[4]) {
  const auto low = [](__m512i a, __m512i b) {
    return _mm512_castsi256_si512(_mm512_cvtepi16_epi8(
        _mm512_permutex2var_epi16(a, _mm512_load_si512(kTables.even_words), b)));
  };
  return _mm512_inserti64x4(low(parts[0], parts[1]),
                            _mm512_castsi512_si256(low(parts[2], parts[3])), 1);
}

/// Puts `highs` into fields of a level, n of them counted from `before`, and those that no field
/// holds one behind the other to `further`, which may be `highs`. Returns how many those are.
std::uint32_t split_level(const std::uint8_t* highs, std::uint32_t n, std::uint32_t before,
                          std::uint32_t bits, std::uint8_t* stream, std::uint8_t* further) {
  const FieldPacker packer(bits);
  const Bytes64 held_before = _mm512_set1_epi8(static_cast<char>(before));
  const Bytes64 ones = _mm512_set1_epi8(static_cast<char>((1U << bits) - 1));
  std::uint8_t* const begin = further;
  (void)for_groups(n, [&](std::uint64_t at, auto live) {
    const Bytes64 high = live.clear(_mm512_loadu_si512(highs + at), held_before);
    const Bytes64 rest = _mm512_sub_epi8(high, held_before);
    const std::uint64_t escaped = live.of(_mm512_cmpge_epu8_mask(rest, ones));
    stream = packer.put(_mm512_min_epu8(rest, ones), stream);
    _mm512_storeu_si512(further, _mm512_maskz_compress_epi8(escaped, high));
    further += _mm_popcnt_u64(escaped);
    return true;
  });
  return static_cast<std::uint32_t>(further - begin);
}

void split(const std::uint32_t* values, std::uint32_t n, PackedSplit& to) {
  const FieldPacker low(to.low_bits);
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(to.low_bits));
  const Bytes64 low_ones = _mm512_set1_epi8(static_cast<char>((1U << to.low_bits) - 1));
  const __m512i most = _mm512_set1_epi32(255);
  std::uint8_t* low_stream = to.low;
  std::uint32_t large = 0;
  (void)for_groups(n, [&](std::uint64_t begin, auto live) {
    __m512i parts[4];
    __m512i highs[4];
    for (int part = 0; part < 4; ++part) {
      parts[part] = live.load(values + begin + 16 * part, part);
      highs[part] = _mm512_min_epu32(_mm512_srl_epi32(parts[part], low_bits), most);
    }
    low_stream = low.put(_mm512_and_si512(narrow(parts), low_ones), low_stream);
    const Bytes64 high = narrow(highs);
    _mm512_storeu_si512(to.bytes + begin, high);
    std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(high, _mm512_set1_epi8(-1)));
    for (; __builtin_expect(escaped != 0, 0); escaped &= escaped - 1) {
      __builtin_memcpy(to.large + std::uint64_t{4} * large++, values + begin + _tzcnt_u64(escaped),
                       4);
    }
    return true;
  });
  std::uint32_t before = 0;
  std::uint32_t count = n;
  for (int i = 0; i < 3; ++i) {
    count = split_level(to.bytes, count, before, to.widths[i], to.level[i], to.bytes);
    before += (1U << to.widths[i]) - 1;
    to.escapes[i] = count;
  }
  to.escapes[3] = large;
}

bool float_integers(const float* elements, std::uint32_t n, std::uint32_t* integers) {
  __mmask16 other = 0;
  for (std::uint32_t i = 0; i < n; i += 16) {
    const auto live = static_cast<__mmask16>(_bzhi_u32(0xFFFF, n - i < 16 ? n - i : 16));
    const __m512 element = _mm512_maskz_loadu_ps(live, elements + i);
    const __m512i integer = _mm512_cvttps_epu32(element);
    const __m512i back = _mm512_castps_si512(_mm512_cvtepu32_ps(integer));
    // By their bits, because a negative zero is none of ours. All ones is what is out of range.
    other |= _mm512_cmpneq_epi32_mask(back, _mm512_castps_si512(element));
    other |= _mm512_cmpeq_epi32_mask(integer, _mm512_set1_epi32(-1));
    _mm512_mask_storeu_epi32(integers + i, live, integer);
  }
  return other == 0;
}

using Loops = PackedLoops<CpuLevel::avx512>;

}  // namespace

const PackedKernels kPackedAvx512 = {&columns,        &counts<std::uint32_t>, &counts<float>,
                                     &float_integers, &Loops::gaps,           &Loops::less_least,
                                     &split};

}  // namespace cellmill
