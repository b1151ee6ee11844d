#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill {

/// Sums that are the same bits in any order: 128-bit fixed point, a vector of them. Doubles are
/// added with error at most 2^-(bits+1) each; |sum| must stay below 2^(127 − bits). Not
/// thread-safe.
class ExactSums {
 public:
  /// \param fraction_bits 96 for sums of fractions (x/c ≤ 1: up to 2^31 of them), 80 for log values
  /// and their squares
  ExactSums(std::int64_t count, int fraction_bits);

  /// Adds `values[i]` to sum first + i. \throws Error(input) if one is not finite, or it or the sum
  /// is out of range
  void add(std::span<const double> values, std::int64_t first = 0);
  void add(const ExactSums& other);  ///< of the same size and fraction bits

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(sums_.size()); }
  [[nodiscard]] double value(std::int64_t i) const;  ///< rounded to nearest
  [[nodiscard]] std::vector<double> values() const;

  /// Four 32-bit limbs a sum, in int64, for an integer all-reduce over up to 2^31 ranks;
  /// `from_limbs` carries and puts them back (\throws Error(input) if a sum is out of range).
  [[nodiscard]] std::vector<std::int64_t> limbs() const;
  void from_limbs(std::span<const std::int64_t> limbs);

 private:
  std::vector<__int128> sums_;
  int fraction_bits_;
};

}  // namespace cellmill
