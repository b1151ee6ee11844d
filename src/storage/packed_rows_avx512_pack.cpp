// Compiled for AVX-512 with VBMI, VBMI2 and VNNI: 64 values at a time. Bound by the memory that the
// elements come from.
#include "storage/packed_rows_avx512.hpp"
#include "storage/packed_rows_loops.hpp"

namespace cellmill {

namespace {

__m512i load(const std::uint32_t* from, std::uint64_t /*part*/, AllLanes /*live*/) {
  return _mm512_loadu_si512(from);
}
__m512i load(const std::uint32_t* from, std::uint64_t part, FirstLanes live) {
  return _mm512_maskz_loadu_epi32(live.of_part(part), from);
}

/// Lanes that don't count as `instead`, so that they become zeros in the streams.
Bytes64 clear(Bytes64 bytes, Bytes64 /*instead*/, AllLanes /*live*/) { return bytes; }
Bytes64 clear(Bytes64 bytes, Bytes64 instead, FirstLanes live) {
  return _mm512_mask_blend_epi8(live.live, instead, bytes);
}

/// Packs a group of fields into its first bytes: pairs, fours, then all eight of a word.
struct FieldPacker {
  Bytes64 scatter;  // the other way round than gather
  Bytes64 pairs;
  Bytes64 fours;
  __m128i eights;
  std::uint32_t bits;

  explicit FieldPacker(std::uint32_t width)
      : scatter(_mm512_load_si512(kTables.scatter[width])),
        pairs(_mm512_set1_epi16(static_cast<short>(1 | 0x100 << width))),
        fours(_mm512_set1_epi32(1 | 0x10000 << (2 * width))),
        eights(_mm_cvtsi32_si128(static_cast<int>(32 - 4 * width))),
        bits(width) {}

  /// Writes 64 bytes, of which 8 · bits count, and returns where they end.
  std::uint8_t* put(Bytes64 fields, std::uint8_t* out) const {
    const __m512i sums = _mm512_madd_epi16(_mm512_maddubs_epi16(pairs, fields), fours);
    // The upper four fields of each word down to the lower four.
    const __m512i upper = _mm512_srl_epi64(
        _mm512_and_si512(sums, _mm512_set1_epi64(static_cast<long long>(0xFFFFFFFF00000000U))),
        eights);
    const __m512i lower = _mm512_and_si512(sums, _mm512_set1_epi64(0xFFFFFFFF));
    _mm512_storeu_si512(out, _mm512_permutexvar_epi8(scatter, _mm512_or_si512(upper, lower)));
    return out + std::uint64_t{8} * bits;
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
    const Bytes64 high = clear(_mm512_loadu_si512(highs + at), held_before, live);
    const Bytes64 rest = _mm512_sub_epi8(high, held_before);
    const std::uint64_t escaped = live.of(_mm512_cmpge_epu8_mask(rest, ones));
    stream = packer.put(_mm512_min_epu8(rest, ones), stream);
    _mm512_storeu_si512(further, _mm512_maskz_compress_epi8(escaped, high));
    further += _mm_popcnt_u64(escaped);
    return true;
  });
  return static_cast<std::uint32_t>(further - begin);
}

}  // namespace

namespace avx512 {

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
    for (std::uint64_t part = 0; part < 4; ++part) {
      parts[part] = load(values + begin + 16 * part, part, live);
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

bool gaps(const std::uint32_t* columns, std::uint32_t n, std::uint32_t* gaps) {
  return PackedLoops<CpuLevel::avx512>::gaps(columns, n, gaps);
}

std::uint32_t less_least(std::uint32_t* values, std::uint32_t n) {
  return PackedLoops<CpuLevel::avx512>::less_least(values, n);
}

}  // namespace avx512

}  // namespace cellmill
