#pragma once

#include <cstdint>

#include "cellmill/core/random.hpp"

namespace cellmill {

/// A permutation of [0, n) that is computed place by place, both ways, from a key: nothing of the
/// size of n is held, and any process finds the same. A Feistel network over the smallest power of
/// two that holds n, but not less than 64: over fewer numbers its orders are not equally likely.
/// Numbers that fall outside are sent through it again (from 32 on, two tries on average at most).
class KeyedPermutation {
 public:
  KeyedPermutation(std::uint64_t n, std::uint64_t seed, std::uint64_t stream)
      : n_(n), rng_(seed, stream) {
    int bits = least_bits;
    while (bits < 63 && (std::uint64_t{1} << bits) < n) ++bits;
    low_bits_ = bits / 2;
    low_mask_ = (std::uint64_t{1} << low_bits_) - 1;
    high_mask_ = (std::uint64_t{1} << (bits - low_bits_)) - 1;
  }

  /// The number at a place.
  [[nodiscard]] std::uint64_t at(std::uint64_t place) const {
    do {
      place = forward(place);
    } while (place >= n_);
    return place;
  }
  /// The place of a number.
  [[nodiscard]] std::uint64_t place_of(std::uint64_t number) const {
    do {
      number = backward(number);
    } while (number >= n_);
    return number;
  }

 private:
  static constexpr int least_bits = 6;
  static constexpr std::uint64_t rounds = 4;  ///< of two halves each

  [[nodiscard]] std::uint64_t mixed(std::uint64_t round, std::uint64_t half) const {
    return rng_.bits((round << 58) ^ half);
  }
  [[nodiscard]] std::uint64_t forward(std::uint64_t number) const {
    std::uint64_t high = number >> low_bits_;
    std::uint64_t low = number & low_mask_;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      low ^= mixed(2 * round, high) & low_mask_;
      high ^= mixed(2 * round + 1, low) & high_mask_;
    }
    return high << low_bits_ | low;
  }
  [[nodiscard]] std::uint64_t backward(std::uint64_t number) const {
    std::uint64_t high = number >> low_bits_;
    std::uint64_t low = number & low_mask_;
    for (std::uint64_t round = rounds; round-- > 0;) {
      high ^= mixed(2 * round + 1, low) & high_mask_;
      low ^= mixed(2 * round, high) & low_mask_;
    }
    return high << low_bits_ | low;
  }

  std::uint64_t n_;
  CounterRng rng_;
  int low_bits_ = 0;
  std::uint64_t low_mask_ = 0;
  std::uint64_t high_mask_ = 0;
};

}  // namespace cellmill
