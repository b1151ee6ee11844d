#pragma once

#include <cstdint>

namespace cellmill {

/// Counter-based random numbers: the i-th number of a stream is a pure function of (seed, stream,
/// i), so any rank can draw any part. A 64-bit mixing function (the finaliser of
/// MurmurHash3/SplitMix64) applied twice to the counter.
class CounterRng {
 public:
  CounterRng(std::uint64_t seed, std::uint64_t stream)
      : key_(mix(seed * 0x9E3779B97F4A7C15ULL + 0x632BE59BD9B4E019ULL) ^
             mix(stream + 0xD1B54A32D192ED03ULL)) {}

  [[nodiscard]] std::uint64_t bits(std::uint64_t counter) const {
    return mix(mix(counter + key_) + 0x9E3779B97F4A7C15ULL * (counter ^ key_));
  }
  /// In [0, 1), 53 bits.
  [[nodiscard]] double uniform(std::uint64_t counter) const {
    return static_cast<double>(bits(counter) >> 11) * 0x1.0p-53;
  }
  /// In [0, bound), by multiplication; bias below 2^-32 for bounds below 2^32.
  [[nodiscard]] std::uint64_t below(std::uint64_t counter, std::uint64_t bound) const {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(bits(counter)) * bound) >>
                                      64);
  }

 private:
  static std::uint64_t mix(std::uint64_t x) {
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ULL;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  std::uint64_t key_;
};

}  // namespace cellmill
