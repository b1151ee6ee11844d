// Compiled for AVX2 and BMI2: eight values at a time, as bytes of one 64-bit word; pdep and pext
// put fields to bytes, and bytes to the places that a mask names. Bound by the some 60 instructions
// that take eight values through the levels. Slow, but right, on processors that have these two in
// microcode.
#include <immintrin.h>

#include "storage/packed_rows_kernels.hpp"
#include "storage/packed_rows_loops.hpp"

namespace cellmill {

namespace {

constexpr std::uint64_t kGroup = 8;
constexpr std::uint64_t kEveryByte = 0x0101010101010101U;

/// A one in the bytes of `found` that are `wanted`; none may be over 127.
std::uint64_t equal_bytes(std::uint64_t found, std::uint64_t wanted) {
  const std::uint64_t differs = (found ^ wanted) + 0x7F * kEveryByte;
  return ~differs >> 7 & kEveryByte;
}

std::uint64_t count_bits(std::uint64_t word) {
  return static_cast<std::uint64_t>(_mm_popcnt_u64(word));
}

/// How many values of a group count: all, or the first ones.
struct WholeGroup {
  static constexpr std::uint64_t count = kGroup;
  static std::uint64_t bytes_of(std::uint64_t word) { return word; }
};
struct PartOfGroup {
  std::uint64_t count;
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t word) const {
    return _bzhi_u64(word, static_cast<unsigned>(8 * count));
  }
};

/// Whole groups of n, and what is left.
template <class Group>
bool for_groups(std::uint64_t n, Group group) {
  std::uint64_t begin = 0;
  for (; begin + kGroup <= n; begin += kGroup) {
    if (!group(begin, WholeGroup{})) return false;
  }
  return begin == n || group(begin, PartOfGroup{n - begin});
}

/// Bytes that may be read.
struct Readable {
  const std::uint8_t* begin;
  std::uint64_t size;

  /// Eight from `at` on; zeros where there are none.
  [[nodiscard]] std::uint64_t load(std::uint64_t at) const {
    std::uint64_t word = 0;
    if (__builtin_expect(at + 8 <= size, 1)) {
      __builtin_memcpy(&word, begin + at, 8);
    } else {
      for (std::uint64_t i = 0; at + i < size; ++i) {
        word |= static_cast<std::uint64_t>(begin[at + i]) << (8 * i);
      }
    }
    return word;
  }
};

Readable readable(const PackedFragment& fragment, const std::uint8_t* begin) {
  return {begin, static_cast<std::uint64_t>(fragment.end - begin)};
}

/// A stream of fields.
struct Fields {
  Readable stream;
  std::uint64_t bits;
  std::uint64_t ones;  // of one field, in every byte
  std::uint64_t at = 0;

  Fields(Readable bytes, std::uint32_t width)
      : stream(bytes), bits(width), ones(((1U << width) - 1) * kEveryByte) {}

  std::uint64_t next() {
    const std::uint64_t fields = _pdep_u64(stream.load(at), ones);
    at += bits;
    return fields;
  }
};

/// Hands what n fields of a level stand for to `take`, eight a time: themselves, or for each that
/// is all ones the next byte of `further`. Returns whether those are `further_count`.
template <class Take>
bool for_level(Fields fields, std::uint64_t n, std::uint32_t before, Readable further,
               std::uint64_t further_count, Take take) {
  std::uint64_t used = 0;
  const std::uint64_t held_before = before * kEveryByte;
  const bool taken = for_groups(n, [&](std::uint64_t begin, auto live) {
    const std::uint64_t found = fields.next();
    const std::uint64_t escaped = live.bytes_of(equal_bytes(found, fields.ones));
    const std::uint64_t mask = escaped * 0xFF;
    const std::uint64_t held = found + held_before;  // no sum is over 255
    const std::uint64_t passed_on = _pdep_u64(further.load(used), mask);
    used += count_bits(escaped);
    return take(begin, (held & ~mask) | passed_on, live);
  });
  return taken && used == further_count;
}

/// Hands the high parts of a fragment's values to `take`, eight at a time, as in the kernels for
/// AVX-512.
template <class Take>
bool for_high_parts(const PackedFragment& fragment, Take take) {
  const std::uint64_t room = fragment.n + std::uint64_t{64};
  std::uint8_t* const joined2 = fragment.scratch;
  std::uint8_t* const joined1 = fragment.scratch + room;
  const auto put_to = [](std::uint8_t* to) {
    return [to](std::uint64_t begin, std::uint64_t bytes, auto /*live*/) {
      __builtin_memcpy(to + begin, &bytes, 8);
      return true;
    };
  };
  const std::uint32_t(&escapes)[4] = fragment.escapes;
  const std::uint32_t before1 = (1U << fragment.widths[0]) - 1;
  const std::uint32_t before2 = before1 + (1U << fragment.widths[1]) - 1;
  const auto level = [&](int i) {
    return Fields(readable(fragment, fragment.level[i]), fragment.widths[i]);
  };
  return for_level(level(2), escapes[1], before2, readable(fragment, fragment.bytes), escapes[2],
                   put_to(joined2)) &&
         for_level(level(1), escapes[0], before1, Readable{joined2, room}, escapes[1],
                   put_to(joined1)) &&
         for_level(level(0), fragment.n, 0, Readable{joined1, room}, escapes[0], take);
}

/// Each byte as 32 bits.
__m256i widen(std::uint64_t bytes) {
  return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(bytes)));
}

/// Which bytes are 255, a bit each.
template <class Live>
std::uint32_t large_lanes(std::uint64_t high, Live live) {
  const __m128i bytes = _mm_cvtsi64_si128(static_cast<long long>(high));
  const int lanes = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(-1)));
  return static_cast<std::uint32_t>(lanes) & ((1U << live.count) - 1);
}

/// `values` with the large ones, `add` more, in place of what stands for them.
bool put_large(const PackedFragment& fragment, std::uint32_t lanes, std::uint32_t add,
               std::uint32_t& used, __m256i& values) {
  alignas(32) std::uint32_t held[kGroup];
  _mm256_store_si256(reinterpret_cast<__m256i*>(held), values);
  for (; lanes != 0; lanes &= lanes - 1) {
    if (used >= fragment.escapes[3]) return false;
    std::uint32_t& value = held[_tzcnt_u32(lanes)];
    __builtin_memcpy(&value, fragment.large + std::uint64_t{4} * used++, 4);
    value += add;
  }
  values = _mm256_load_si256(reinterpret_cast<const __m256i*>(held));
  return true;
}

void put(void* out, __m256i elements, WholeGroup /*live*/) {
  _mm256_storeu_si256(static_cast<__m256i*>(out), elements);
}
void put(void* out, __m256i elements, PartOfGroup live) {
  alignas(32) std::uint32_t held[kGroup];
  _mm256_store_si256(reinterpret_cast<__m256i*>(held), elements);
  for (std::uint64_t i = 0; i < live.count; ++i) static_cast<std::uint32_t*>(out)[i] = held[i];
}

__m256i converted(__m256i values, const std::uint32_t* /*type*/) { return values; }
/// In two halves, each exact, because only signed integers can be converted: rounded once.
__m256i converted(__m256i values, const float* /*type*/) {
  const __m256 upper = _mm256_cvtepi32_ps(_mm256_srli_epi32(values, 16));
  const __m256 lower = _mm256_cvtepi32_ps(_mm256_and_si256(values, _mm256_set1_epi32(0xFFFF)));
  return _mm256_castps_si256(_mm256_add_ps(_mm256_mul_ps(upper, _mm256_set1_ps(65536.0F)), lower));
}

template <class Out>
bool counts(const PackedFragment& fragment, Out* out) {
  Fields low(readable(fragment, fragment.low), fragment.low_bits);
  const __m256i base = _mm256_set1_epi32(static_cast<int>(fragment.base));
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(fragment.low_bits));
  std::uint32_t large = 0;
  const auto unpack_group = [&](std::uint64_t begin, std::uint64_t high, auto live) {
    __m256i values = widen(high);
    if (fragment.low_bits != 0) {
      values = _mm256_or_si256(_mm256_sll_epi32(values, low_bits), widen(low.next()));
    }
    const std::uint32_t lanes = large_lanes(high, live);
    if (__builtin_expect(lanes != 0, 0) && !put_large(fragment, lanes, 0, large, values)) {
      return false;
    }
    put(out + begin, converted(_mm256_add_epi32(values, base), static_cast<const Out*>(nullptr)),
        live);
    return true;
  };
  return for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
}

bool columns(const PackedFragment& fragment, std::int32_t* out) {
  Fields low(readable(fragment, fragment.low), fragment.low_bits);
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(fragment.low_bits));
  const __m256i upper_half = _mm256_setr_epi32(0, 0, 0, 0, -1, -1, -1, -1);
  __m256i before = _mm256_set1_epi32(static_cast<int>(fragment.base - 1));  // the column
  std::uint32_t large = 0;
  const auto unpack_group = [&](std::uint64_t begin, std::uint64_t high, auto live) {
    __m256i sums =
        _mm256_add_epi32(_mm256_sll_epi32(widen(high), low_bits), widen(low.next() + kEveryByte));
    const std::uint32_t lanes = large_lanes(high, live);
    if (__builtin_expect(lanes != 0, 0) && !put_large(fragment, lanes, 1, large, sums))
      return false;
    sums = _mm256_add_epi32(sums, _mm256_slli_si256(sums, 4));
    sums = _mm256_add_epi32(sums, _mm256_slli_si256(sums, 8));
    const __m256i of_lower = _mm256_permutevar8x32_epi32(sums, _mm256_set1_epi32(3));
    sums = _mm256_add_epi32(sums, _mm256_and_si256(of_lower, upper_half));
    put(out + begin, _mm256_add_epi32(sums, before), live);
    before = _mm256_add_epi32(before, _mm256_permutevar8x32_epi32(sums, _mm256_set1_epi32(7)));
    return true;
  };
  return for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
}

bool float_integers(const float* elements, std::uint32_t n, std::uint32_t* integers) {
  __m256i other = _mm256_setzero_si256();
  std::uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256 element = _mm256_loadu_ps(elements + i);
    const __m256i integer = _mm256_cvttps_epi32(element);
    const __m256i back = _mm256_castps_si256(_mm256_cvtepi32_ps(integer));
    other = _mm256_or_si256(other, _mm256_xor_si256(back, _mm256_castps_si256(element)));
    other = _mm256_or_si256(other, _mm256_srli_epi32(integer, 31));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(integers + i), integer);
  }
  // What is none of ours, or from 2^31 on.
  if (_mm256_testz_si256(other, other) == 0) i = 0;
  return PackedLoops<CpuLevel::avx2>::float_integers(elements + i, n - i, integers + i);
}

/// Puts `highs` into fields of a level, as in the kernels for AVX-512.
std::uint32_t split_level(const std::uint8_t* highs, std::uint32_t n, std::uint32_t before,
                          std::uint32_t bits, std::uint8_t* stream, std::uint8_t* further) {
  const std::uint64_t ones = ((1U << bits) - 1) * kEveryByte;
  const __m128i most = _mm_set1_epi8(static_cast<char>((1U << bits) - 1));
  const __m128i held_before = _mm_set1_epi8(static_cast<char>(before));
  const std::uint8_t* const begin = further;
  (void)for_groups(n, [&](std::uint64_t at, auto live) {
    std::uint64_t high = 0;
    __builtin_memcpy(&high, highs + at, 8);
    const __m128i rest = _mm_sub_epi8(_mm_cvtsi64_si128(static_cast<long long>(high)), held_before);
    const __m128i field = _mm_min_epu8(rest, most);
    const auto fields = live.bytes_of(static_cast<std::uint64_t>(_mm_cvtsi128_si64(field)));
    const auto escaped =
        live.bytes_of(static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_cmpeq_epi8(field, most))));
    const std::uint64_t packed = _pext_u64(fields, ones);
    __builtin_memcpy(stream, &packed, 8);
    stream += bits;
    const std::uint64_t passed_on = _pext_u64(high, escaped);
    __builtin_memcpy(further, &passed_on, 8);
    further += count_bits(escaped) / 8;
    return true;
  });
  return static_cast<std::uint32_t>(further - begin);
}

/// The lowest bytes of eight numbers of at most 255.
std::uint64_t narrow(__m256i values) {
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(values), _mm256_extracti128_si256(values, 1));
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(_mm_packus_epi16(words, words)));
}

__m256i load(const std::uint32_t* values, WholeGroup /*live*/) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values));
}
/// Zeros behind the last one.
__m256i load(const std::uint32_t* values, PartOfGroup live) {
  alignas(32) std::uint32_t held[kGroup] = {};
  for (std::uint64_t i = 0; i < live.count; ++i) held[i] = values[i];
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(held));
}

void split(const std::uint32_t* values, std::uint32_t n, PackedSplit& to) {
  const std::uint32_t low_ones = (1U << to.low_bits) - 1;
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(to.low_bits));
  const __m256i low_mask = _mm256_set1_epi32(static_cast<int>(low_ones));
  const __m256i most = _mm256_set1_epi32(255);
  std::uint8_t* low_stream = to.low;
  std::uint32_t large = 0;
  (void)for_groups(n, [&](std::uint64_t begin, auto live) {
    const __m256i value = load(values + begin, live);
    const std::uint64_t low =
        _pext_u64(narrow(_mm256_and_si256(value, low_mask)), low_ones * kEveryByte);
    __builtin_memcpy(low_stream, &low, 8);
    low_stream += to.low_bits;
    const std::uint64_t high = narrow(_mm256_min_epu32(_mm256_srl_epi32(value, low_bits), most));
    __builtin_memcpy(to.bytes + begin, &high, 8);
    for (std::uint32_t lanes = large_lanes(high, live); __builtin_expect(lanes != 0, 0);
         lanes &= lanes - 1) {
      const std::uint32_t* const from = values + begin + _tzcnt_u32(lanes);
      __builtin_memcpy(to.large + std::uint64_t{4} * large++, from, 4);
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

void flush(PackedCarry& /*carry*/) {}

using Loops = PackedLoops<CpuLevel::avx2>;

}  // namespace

const PackedKernels packed_avx2 = {
    &columns,        &counts<std::uint32_t>, &counts<float>,     &flush,
    &float_integers, &Loops::gaps,           &Loops::less_least, &split};

}  // namespace cellmill
