#include "storage/packed_rows_widths.hpp"

#include <algorithm>
#include <array>

namespace cellmill {

namespace {

constexpr std::uint32_t most_low_bits = 6;
constexpr std::uint32_t most_level_bits = 7;

/// How many values have a high part of at least the index.
using Tails = std::array<std::uint64_t, 256>;

Tails tails_of(std::span<const std::uint32_t> sample, std::uint32_t low_bits) {
  Tails tails{};
  for (const std::uint32_t value : sample) ++tails[std::min(value >> low_bits, 255U)];
  for (std::size_t i = 255; i-- > 0;) tails[i] += tails[i + 1];
  return tails;
}

/// Bits of all values.
std::uint64_t cost(const Tails& tails, const PackedWidths& widths) {
  std::uint64_t bits = tails[0] * widths.low;
  std::uint32_t reached = 0;
  for (const std::uint32_t width : widths.levels) {
    bits += tails[reached] * width;
    reached += (1U << width) - 1;
  }
  return bits + 8 * tails[reached] + 32 * tails[255];
}

}  // namespace

PackedWidths choose_widths(std::span<const std::uint32_t> sample) {
  PackedWidths best;
  std::uint64_t least = ~std::uint64_t{0};
  for (std::uint32_t low = 0; low <= most_low_bits; ++low) {
    const Tails tails = tails_of(sample, low);
    for (std::uint32_t a = 0; a <= most_level_bits; ++a) {
      for (std::uint32_t b = 0; b <= most_level_bits; ++b) {
        for (std::uint32_t c = 0; c <= most_level_bits; ++c) {
          const PackedWidths widths{low, {a, b, c}};
          if (escapes_end(widths.levels) > 255) break;
          const std::uint64_t bits = cost(tails, widths);
          if (bits >= least) continue;
          least = bits;
          best = widths;
        }
      }
    }
  }
  return best;
}

}  // namespace cellmill
