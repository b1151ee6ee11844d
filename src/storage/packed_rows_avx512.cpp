// Compiled for AVX-512 with VBMI, VBMI2 and VNNI: 64 values at a time, a byte each. Bound by some
// 50 vector instructions for 64 counts and 80 for 64 columns, a third of them permutations; past
// the caches by the stores.
#include "storage/packed_rows_avx512.hpp"

namespace cellmill {

namespace {

/// Bytes that may be read.
struct Readable {
  const std::uint8_t* begin;
  std::uint64_t size;

  /// 64 from `at` on, or as many as there are.
  [[nodiscard]] Bytes64 load(std::uint64_t at) const {
    if (__builtin_expect(at + 64 <= size, 1)) return _mm512_loadu_si512(begin + at);
    return at < size ? _mm512_maskz_loadu_epi8(first_lanes(size - at), begin + at)
                     : _mm512_setzero_si512();
  }
};

/// A stream of fields.
struct Fields {
  Readable stream;
  std::uint64_t at = 0;
  std::uint64_t group_bytes;
  Bytes64 gather;
  Bytes64 shifts;
  Bytes64 ones;  // of one field, in every byte

  Fields(Readable bytes, std::uint32_t bits)
      : stream(bytes),
        group_bytes(std::uint64_t{8} * bits),
        gather(_mm512_load_si512(kTables.gather[bits])),
        shifts(_mm512_set1_epi64(static_cast<long long>(kTables.shifts[bits]))),
        ones(_mm512_set1_epi8(static_cast<char>((1U << bits) - 1))) {}

  /// The next 64 fields.
  Bytes64 next() {
    const Bytes64 words = _mm512_permutexvar_epi8(gather, stream.load(at));
    at += group_bytes;
    return _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, words), ones);
  }
};

Readable readable(const PackedFragment& fragment, const std::uint8_t* begin) {
  return {begin, static_cast<std::uint64_t>(fragment.end - begin)};
}

/// Hands what n fields of a level stand for to `take`, 64 a time: themselves, or for each that is
/// all ones the next byte of `further`. Returns whether those are `further_count`.
template <class Take>
bool for_level(Fields fields, std::uint64_t n, std::uint32_t before, Readable further,
               std::uint64_t further_count, Take take) {
  const Bytes64 held_before = _mm512_set1_epi8(static_cast<char>(before));
  std::uint64_t used = 0;
  const bool taken = for_groups(n, [&](std::uint64_t begin, auto live) {
    const Bytes64 found = fields.next();
    const std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(found, fields.ones));
    const Bytes64 value =
        _mm512_mask_expand_epi8(_mm512_add_epi8(found, held_before), escaped, further.load(used));
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
    return Fields(readable(fragment, fragment.level[i]), fragment.widths[i]);
  };
  return for_level(level(2), escapes[1], before2, readable(fragment, fragment.bytes), escapes[2],
                   put_to(joined2)) &&
         for_level(level(1), escapes[0], before1, Readable{joined2, room}, escapes[1],
                   put_to(joined1)) &&
         for_level(level(0), fragment.n, 0, Readable{joined1, room}, escapes[0], take);
}

/// The next of the large values; false if there is none.
bool take_large(const PackedFragment& fragment, std::uint32_t& used, std::uint32_t& value) {
  if (used >= fragment.escapes[3]) return false;
  __builtin_memcpy(&value, fragment.large + std::uint64_t{4} * used++, 4);
  return true;
}

void flush_carry(PackedCarry& carry) {
  for (std::uint32_t i = carry.begin; i < carry.end; ++i) carry.at[i] = carry.line[i];
  carry.begin = carry.end = 0;
}

/// Where the elements of a fragment go, 16 at a time: to the caches.
class CachedOutput {
 public:
  explicit CachedOutput(void* out) : out_(static_cast<std::uint32_t*>(out)) {}
  void put(std::uint64_t at, __m512i elements) { _mm512_storeu_si512(out_ + at, elements); }
  /// The last ones, 15 or fewer.
  void put_last(std::uint64_t at, std::uint32_t count, __m512i elements) {
    _mm512_mask_storeu_epi32(out_ + at, static_cast<__mmask16>((1U << count) - 1), elements);
  }
  void end() {}

 private:
  std::uint32_t* out_;
};

/// Past the caches, which takes whole lines: the last elements wait for those that share their
/// line, the next fragment's too.
class StreamingOutput {
 public:
  StreamingOutput(void* out, PackedCarry& carry) : carry_(carry) {
    const auto ahead =
        static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(out) / 4 % kLine);
    line_ = static_cast<std::uint32_t*>(out) - ahead;
    if (carry.at != line_ || carry.end != ahead) {
      flush_carry(carry);
      carry.begin = ahead;
    }
    foreign_ = carry.begin;
    held_ = _mm512_load_si512(carry.line);
    hold(ahead);
  }

  void put(std::uint64_t /*at*/, __m512i elements) {
    const __m512i turned = _mm512_permutexvar_epi32(turn_, elements);
    send(_mm512_mask_blend_epi32(held_lanes_, turned, held_));
    held_ = turned;
  }
  void put_last(std::uint64_t /*at*/, std::uint32_t count, __m512i elements) {
    const __m512i turned = _mm512_permutexvar_epi32(turn_, elements);
    held_ = _mm512_mask_blend_epi32(held_lanes_, turned, held_);
    const std::uint32_t all = count_ + count;
    if (all >= kLine) {
      send(held_);
      held_ = turned;
    }
    hold(all % kLine);
  }
  void end() {
    _mm512_store_si512(carry_.line, held_);
    carry_.at = line_;
    carry_.begin = foreign_;
    carry_.end = count_;
  }

 private:
  static constexpr std::uint32_t kLine = 16;

  void hold(std::uint32_t count) {
    count_ = count;
    held_lanes_ = static_cast<__mmask16>((1U << count) - 1);
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    turn_ = _mm512_sub_epi32(lanes, _mm512_set1_epi32(static_cast<int>(count)));
  }
  void send(__m512i line) {
    if (__builtin_expect(foreign_ != 0, 0)) {  // it begins with elements that are not ours
      _mm512_mask_storeu_epi32(line_, static_cast<__mmask16>(0xFFFFU << foreign_), line);
      foreign_ = 0;
    } else {
      _mm512_stream_si512(reinterpret_cast<__m512i*>(line_), line);
    }
    line_ += kLine;
  }

  PackedCarry& carry_;
  std::uint32_t* line_;    ///< the line that is filled
  std::uint32_t foreign_;  ///< its first elements, which stay as they are
  std::uint32_t count_;    ///< its elements so far
  __mmask16 held_lanes_;
  __m512i held_;
  __m512i turn_;
};

/// 64 elements of a group.
template <class Output>
void put_group(Output& output, std::uint64_t begin, const __m512i (&elements)[4],
               AllLanes /*live*/) {
  for (std::uint64_t part = 0; part < 4; ++part) output.put(begin + 16 * part, elements[part]);
}
template <class Output>
void put_group(Output& output, std::uint64_t begin, const __m512i (&elements)[4], FirstLanes live) {
  auto left = static_cast<std::uint32_t>(_mm_popcnt_u64(live.live));
  for (std::uint64_t part = 0; left > 0; ++part) {
    if (left < 16) return output.put_last(begin + 16 * part, left, elements[part]);
    output.put(begin + 16 * part, elements[part]);
    left -= 16;
  }
}

/// Bytes 16 · part and on of 64, each as 32 bits.
Bytes64 widen_control(std::uint64_t part) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int>(16 * part)));
}
__m512i widen(Bytes64 bytes, Bytes64 control) {
  return _mm512_maskz_permutexvar_epi8(0x1111111111111111U, control, bytes);
}

/// Values of a group that holds large ones: `values` with those in place of what stands for them.
bool put_large(const PackedFragment& fragment, std::uint64_t escaped, std::uint32_t& large,
               __m512i (&values)[4]) {
  alignas(64) std::uint32_t held[kGroup];
  for (std::uint64_t part = 0; part < 4; ++part) _mm512_store_si512(held + 16 * part, values[part]);
  for (; escaped != 0; escaped &= escaped - 1) {
    if (!take_large(fragment, large, held[_tzcnt_u64(escaped)])) return false;
  }
  for (std::uint64_t part = 0; part < 4; ++part) values[part] = _mm512_load_si512(held + 16 * part);
  return true;
}

__m512i converted(__m512i values, const std::uint32_t* /*type*/) { return values; }
__m512i converted(__m512i values, const float* /*type*/) {
  return _mm512_castps_si512(_mm512_cvtepu32_ps(values));
}

template <class Out, class Output>
bool counts_to(Output output, const PackedFragment& fragment) {
  Fields low(readable(fragment, fragment.low), fragment.low_bits);
  const Bytes64 controls[4] = {widen_control(0), widen_control(1), widen_control(2),
                               widen_control(3)};
  const __m512i base = _mm512_set1_epi32(static_cast<int>(fragment.base));
  const __m128i low_bits = _mm_cvtsi32_si128(static_cast<int>(fragment.low_bits));
  const Bytes64 escape = _mm512_set1_epi8(-1);
  std::uint32_t large = 0;
  const auto unpack_group = [&](std::uint64_t begin, Bytes64 high, auto live) {
    __m512i values[4];
    for (std::uint64_t part = 0; part < 4; ++part) values[part] = widen(high, controls[part]);
    if (fragment.low_bits != 0) {
      const Bytes64 lows = low.next();
      for (std::uint64_t part = 0; part < 4; ++part) {
        values[part] =
            _mm512_or_si512(_mm512_sll_epi32(values[part], low_bits), widen(lows, controls[part]));
      }
    }
    const std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(high, escape));
    if (__builtin_expect(escaped != 0, 0) && !put_large(fragment, escaped, large, values)) {
      return false;
    }
    for (__m512i& value : values) {
      value = converted(_mm512_add_epi32(value, base), static_cast<const Out*>(nullptr));
    }
    put_group(output, begin, values, live);
    return true;
  };
  const bool sound = for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
  output.end();
  return sound;
}

template <class Out>
bool counts(const PackedFragment& fragment, Out* out) {
  return fragment.carry != nullptr ? counts_to<Out>(StreamingOutput(out, *fragment.carry), fragment)
                                   : counts_to<Out>(CachedOutput(out), fragment);
}

/// Sums over gaps: each of four bytes in 32 bits counts for the lanes from its own on.
__m512i steps(std::uint32_t weight) {
  return _mm512_set4_epi32(static_cast<int>(weight * 0x01010101U),
                           static_cast<int>(weight * 0x00010101U),
                           static_cast<int>(weight * 0x00000101U), static_cast<int>(weight));
}

/// Columns of a group that holds large gaps, one by one; those beyond the fragment mean nothing.
bool large_columns(const PackedFragment& fragment, std::uint64_t escaped, Bytes64 high,
                   Bytes64 low_and_one, std::uint32_t& large, std::uint32_t& column,
                   __m512i (&columns)[4]) {
  alignas(64) std::uint8_t highs[kGroup];
  alignas(64) std::uint8_t lows[kGroup];
  alignas(64) std::uint32_t held[kGroup];
  _mm512_store_si512(highs, high);
  _mm512_store_si512(lows, low_and_one);
  for (std::uint64_t i = 0; i < kGroup; ++i) {
    std::uint32_t step = (static_cast<std::uint32_t>(highs[i]) << fragment.low_bits) + lows[i];
    if ((escaped >> i & 1U) != 0) {
      if (!take_large(fragment, large, step)) return false;
      ++step;
    }
    column += step;
    held[i] = column;
  }
  for (std::uint64_t part = 0; part < 4; ++part)
    columns[part] = _mm512_load_si512(held + 16 * part);
  return true;
}

template <class Output>
bool columns_to(Output output, const PackedFragment& fragment) {
  Fields low(readable(fragment, fragment.low), fragment.low_bits);
  const __m512i quarter = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
  __m512i spread[4];
  for (std::uint64_t part = 0; part < 4; ++part)
    spread[part] = _mm512_add_epi32(quarter, _mm512_set1_epi32(static_cast<int>(4 * part)));
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
    const std::uint64_t escaped = live.of(_mm512_cmpeq_epi8_mask(high, escape));
    __m512i columns[4];
    if (__builtin_expect(escaped != 0, 0)) {
      auto column = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(before)));
      if (!large_columns(fragment, escaped, high, lows, large, column, columns)) return false;
      before = _mm512_set1_epi32(static_cast<int>(column));
      put_group(output, begin, columns, live);
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
    for (std::uint64_t part = 0; part < 4; ++part) {
      const __m512i four_lows = _mm512_permutexvar_epi32(spread[part], lows);
      const __m512i four_highs = _mm512_permutexvar_epi32(spread[part], high);
      columns[part] =
          _mm512_dpbusd_epi32(_mm512_permutexvar_epi32(spread[part], begins), four_lows, low_steps);
      columns[part] = _mm512_dpbusd_epi32(columns[part], four_highs, high_steps);
    }
    put_group(output, begin, columns, live);
    return true;
  };
  const bool sound = for_high_parts(fragment, unpack_group) && large == fragment.escapes[3];
  output.end();
  return sound;
}

bool columns(const PackedFragment& fragment, std::int32_t* out) {
  return fragment.carry != nullptr ? columns_to(StreamingOutput(out, *fragment.carry), fragment)
                                   : columns_to(CachedOutput(out), fragment);
}

/// Also makes what was streamed visible to other threads, as ordinary stores are.
void flush(PackedCarry& carry) {
  flush_carry(carry);
  _mm_sfence();
}

}  // namespace

const PackedKernels packed_avx512 = {
    &columns,      &counts<std::uint32_t>, &counts<float>, &flush, &avx512::float_integers,
    &avx512::gaps, &avx512::less_least,    &avx512::split};

}  // namespace cellmill
