#pragma once

#include <cstdint>

#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

/// Loops of the packers that compilers make vectors of by themselves. A type for each level, so
/// that what is compiled for one is never linked in place of another's.
template <CpuLevel level>
struct PackedLoops {
  static bool float_integers(const float* elements, std::uint32_t n, std::uint32_t* integers) {
    std::uint32_t other = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const float element = elements[i];
      const bool inside = element >= 0.0F && element < 4294967296.0F;
      const std::uint32_t integer = inside ? static_cast<std::uint32_t>(element) : 0;
      const auto back = static_cast<float>(integer);
      // By their bits, because a negative zero is none of ours.
      std::uint32_t bits = 0;
      std::uint32_t back_bits = 0;
      __builtin_memcpy(&bits, &element, 4);
      __builtin_memcpy(&back_bits, &back, 4);
      other |= bits ^ back_bits;
      integers[i] = integer;
    }
    return other == 0;
  }

  static bool gaps(const std::uint32_t* columns, std::uint32_t n, std::uint32_t* gaps) {
    std::uint32_t falls = columns[0] >> 31 | columns[n - 1] >> 31;
    gaps[0] = 0;
    for (std::uint32_t i = 1; i < n; ++i) {
      falls |= columns[i] <= columns[i - 1] ? 1U : 0U;
      gaps[i] = columns[i] - columns[i - 1] - 1;
    }
    return falls == 0;
  }

  static std::uint32_t less_least(std::uint32_t* values, std::uint32_t n) {
    std::uint32_t least = values[0];
    for (std::uint32_t i = 1; i < n; ++i) least = values[i] < least ? values[i] : least;
    for (std::uint32_t i = 0; i < n; ++i) values[i] -= least;
    return least;
  }
};

}  // namespace cellmill
