// The oracle of the other instruction sets: one value after the other.
#include "storage/packed_rows_kernels.hpp"
#include "storage/packed_rows_loops.hpp"

namespace cellmill {

namespace {

/// Field `index` of `bits` bits; lowest bits first.
std::uint32_t field(const std::uint8_t* stream, std::uint64_t index, std::uint32_t bits) {
  const std::uint64_t bit = index * bits;
  std::uint32_t value = 0;
  for (std::uint32_t i = 0; i < bits; ++i) {
    const std::uint64_t at = bit + i;
    value |= (static_cast<std::uint32_t>(stream[at / 8]) >> at % 8 & 1U) << i;
  }
  return value;
}

std::uint32_t large_value(const std::uint8_t* large, std::uint32_t index) {
  const std::uint8_t* const at = large + std::uint64_t{4} * index;
  return static_cast<std::uint32_t>(at[0]) | static_cast<std::uint32_t>(at[1]) << 8 |
         static_cast<std::uint32_t>(at[2]) << 16 | static_cast<std::uint32_t>(at[3]) << 24;
}

/// Hands every value of a fragment to `take`, in order.
template <class Take>
bool for_values(const PackedFragment& fragment, Take take) {
  std::uint32_t used[4] = {0, 0, 0, 0};  // of what the escapes of each level lead to
  for (std::uint32_t i = 0; i < fragment.n; ++i) {
    std::uint32_t high = 0;
    bool escaped = true;
    for (std::uint32_t level = 0; escaped && level < 3; ++level) {
      std::uint32_t at = i;
      if (level > 0) {
        at = used[level - 1]++;
        if (at >= fragment.escapes[level - 1]) return false;
      }
      const std::uint32_t ones = (1U << fragment.widths[level]) - 1;
      const std::uint32_t found = field(fragment.level[level], at, fragment.widths[level]);
      high += found;
      escaped = found == ones;
    }
    if (escaped) {
      if (used[2] >= fragment.escapes[2]) return false;
      high = fragment.bytes[used[2]++];
    }
    std::uint32_t value = high << fragment.low_bits | field(fragment.low, i, fragment.low_bits);
    if (high == 255) {
      if (used[3] >= fragment.escapes[3]) return false;
      value = large_value(fragment.large, used[3]++);
    }
    take(i, value);
  }
  for (int i = 0; i < 4; ++i) {
    if (used[i] != fragment.escapes[i]) return false;
  }
  return true;
}

bool columns(const PackedFragment& fragment, std::int32_t* out) {
  std::uint32_t column = fragment.base - 1;
  return for_values(fragment, [&](std::uint32_t i, std::uint32_t gap) {
    column += gap + 1;
    out[i] = static_cast<std::int32_t>(column);
  });
}

bool counts(const PackedFragment& fragment, std::uint32_t* out) {
  return for_values(fragment,
                    [&](std::uint32_t i, std::uint32_t value) { out[i] = value + fragment.base; });
}

bool float_counts(const PackedFragment& fragment, float* out) {
  return for_values(fragment, [&](std::uint32_t i, std::uint32_t value) {
    out[i] = static_cast<float>(value + fragment.base);
  });
}

void flush(PackedCarry& /*carry*/) {}

void put_field(std::uint8_t* stream, std::uint64_t index, std::uint32_t bits, std::uint32_t value) {
  const std::uint64_t bit = index * bits;
  for (std::uint32_t i = 0; i < bits; ++i) {
    const std::uint64_t at = bit + i;
    if (at % 8 == 0) stream[at / 8] = 0;
    stream[at / 8] = static_cast<std::uint8_t>(stream[at / 8] | (value >> i & 1U) << at % 8);
  }
}

void split(const std::uint32_t* values, std::uint32_t n, PackedSplit& to) {
  std::uint32_t used[4] = {0, 0, 0, 0};
  for (std::uint32_t i = 0; i < n; ++i) {
    put_field(to.low, i, to.low_bits, values[i] & ((1U << to.low_bits) - 1));
    const std::uint32_t high = values[i] >> to.low_bits;
    std::uint32_t rest = high;
    bool escaped = true;
    for (std::uint32_t level = 0; escaped && level < 3; ++level) {
      const std::uint32_t ones = (1U << to.widths[level]) - 1;
      escaped = rest >= ones;
      const std::uint32_t at = level == 0 ? i : used[level - 1]++;
      put_field(to.level[level], at, to.widths[level], escaped ? ones : rest);
      rest -= ones;
    }
    if (!escaped) continue;
    to.bytes[used[2]++] = static_cast<std::uint8_t>(high < 255 ? high : 255);
    if (high < 255) continue;
    for (std::uint32_t byte = 0; byte < 4; ++byte) {
      to.large[4 * used[3] + byte] = static_cast<std::uint8_t>(values[i] >> (8 * byte));
    }
    ++used[3];
  }
  for (int i = 0; i < 4; ++i) to.escapes[i] = used[i];
}

}  // namespace

using Loops = PackedLoops<CpuLevel::plain>;
const PackedKernels packed_plain = {
    &columns,           &counts, &float_counts, &flush, &Loops::float_integers, &Loops::gaps,
    &Loops::less_least, &split};

}  // namespace cellmill
