#include "storage/packed_rows_widths.hpp"

#include <algorithm>
#include <array>
#include <bit>

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

/// Two below what the mean suggests.
std::uint32_t fewest_low_bits(std::span<const std::uint32_t> sample) {
  std::uint64_t sum = 0;
  for (const std::uint32_t value : sample) sum += value;
  const std::uint64_t mean = sum / std::max<std::size_t>(sample.size(), 1);
  return static_cast<std::uint32_t>(
      std::clamp<int>(static_cast<int>(std::bit_width(mean)) - 3, 0, most_low_bits));
}

}  // namespace

PackedWidths choose_widths(std::span<const std::uint32_t> sample) {
  const std::uint32_t fewest = fewest_low_bits(sample);
  PackedWidths best{fewest, {0, 0, 0}};
  std::uint64_t least = ~std::uint64_t{0};
  // Bits fall with the number of low bits to one least, and rise from there on.
  for (std::uint32_t low = fewest; low <= best.low + 1 && low <= most_low_bits; ++low) {
    const Tails tails = tails_of(sample, low);
    const std::uint64_t always = tails[0] * low + 32 * tails[255];
    for (std::uint32_t a = 0; a <= most_level_bits; ++a) {
      const std::uint32_t reached_a = (1U << a) - 1;
      const std::uint64_t bits_a = always + tails[0] * a;
      if (bits_a >= least) break;
      for (std::uint32_t b = 0; b <= most_level_bits; ++b) {
        const std::uint32_t reached_b = reached_a + (1U << b) - 1;
        const std::uint64_t bits_b = bits_a + tails[reached_a] * b;
        if (bits_b >= least || reached_b > 255) break;
        for (std::uint32_t c = 0; c <= most_level_bits; ++c) {
          const std::uint32_t reached_c = reached_b + (1U << c) - 1;
          if (reached_c > 255) break;
          const std::uint64_t bits = bits_b + tails[reached_b] * c + 8 * tails[reached_c];
          if (bits >= least) continue;
          least = bits;
          best = {low, {a, b, c}};
        }
      }
    }
  }
  return best;
}

}  // namespace cellmill
