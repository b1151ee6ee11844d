#include "cellmill/compute/exact_sum.hpp"

#include <fmt/format.h>

#include <bit>
#include <cmath>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

constexpr int kLimbs = 4;
constexpr int kLimbBits = 32;
constexpr std::uint64_t kMantissa = (std::uint64_t{1} << 52) - 1;
constexpr int kMantissaBits = 52;
constexpr int kExponentBias = 1023;

Error out_of_range(std::int64_t index, double value, int fraction_bits) {
  return input_error(
      fmt::format("exact sum {}: found {}, expected a finite number and a sum below 2^{}", index,
                  value, 127 - fraction_bits));
}

}  // namespace

ExactSums::ExactSums(std::int64_t count, int fraction_bits)
    : sums_(static_cast<std::size_t>(count), 0), fraction_bits_(fraction_bits) {}

void ExactSums::add(std::span<const double> values, std::int64_t first) {
  if (first < 0 || first + static_cast<std::int64_t>(values.size()) > size()) {
    throw input_error(fmt::format("exact sums: found {} values from {}, expected at most {}",
                                  values.size(), first, size()));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    if (value == 0) continue;
    const auto bits = std::bit_cast<std::uint64_t>(value);
    const int exponent = static_cast<int>((bits >> kMantissaBits) & 0x7FF);
    // value = ±mantissa · 2^(shift − fraction_bits)
    const int shift = exponent - kExponentBias - kMantissaBits + fraction_bits_;
    const std::int64_t index = first + static_cast<std::int64_t>(i);
    if (shift >= 127 - kMantissaBits) throw out_of_range(index, value, fraction_bits_);
    __int128 fixed = 0;
    if (exponent != 0) {  // subnormal numbers are below half a unit at any sensible scale
      const auto mantissa =
          static_cast<__int128>((bits & kMantissa) | (std::uint64_t{1} << kMantissaBits));
      if (shift >= 0) {
        fixed = mantissa << shift;
      } else if (shift >= -(kMantissaBits + 1)) {
        fixed = (mantissa + (__int128{1} << (-shift - 1))) >> -shift;
      }
    }
    __int128& sum = sums_[static_cast<std::size_t>(index)];
    if (__builtin_add_overflow(sum, std::signbit(value) ? -fixed : fixed, &sum)) {
      throw out_of_range(index, value, fraction_bits_);
    }
  }
}

void ExactSums::add(const ExactSums& other) {
  if (other.size() != size() || other.fraction_bits_ != fraction_bits_) {
    throw input_error(fmt::format("exact sums: found {} with {} fraction bits, expected {} with {}",
                                  other.size(), other.fraction_bits_, size(), fraction_bits_));
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    if (__builtin_add_overflow(sums_[i], other.sums_[i], &sums_[i])) {
      throw out_of_range(static_cast<std::int64_t>(i), other.value(static_cast<std::int64_t>(i)),
                         fraction_bits_);
    }
  }
}

double ExactSums::value(std::int64_t i) const {
  // The conversion rounds to nearest; scaling by a power of two is exact.
  return std::ldexp(static_cast<double>(sums_[static_cast<std::size_t>(i)]), -fraction_bits_);
}

std::vector<double> ExactSums::values() const {
  std::vector<double> result(sums_.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = value(static_cast<std::int64_t>(i));
  return result;
}

std::vector<std::int64_t> ExactSums::limbs() const {
  std::vector<std::int64_t> result;
  result.reserve(sums_.size() * kLimbs);
  for (const __int128 sum : sums_) {
    for (int limb = 0; limb + 1 < kLimbs; ++limb) {
      result.push_back(static_cast<std::int64_t>(
          static_cast<std::uint32_t>(static_cast<unsigned __int128>(sum) >> (limb * kLimbBits))));
    }
    result.push_back(static_cast<std::int64_t>(sum >> ((kLimbs - 1) * kLimbBits)));  // signed
  }
  return result;
}

void ExactSums::from_limbs(std::span<const std::int64_t> limbs) {
  if (limbs.size() != sums_.size() * kLimbs) {
    throw input_error(fmt::format("exact sums: found {} limbs, expected {}", limbs.size(),
                                  sums_.size() * kLimbs));
  }
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const std::span<const std::int64_t> parts = limbs.subspan(i * kLimbs, kLimbs);
    std::int64_t carry = 0;
    unsigned __int128 low = 0;
    for (int limb = 0; limb + 1 < kLimbs; ++limb) {
      const std::int64_t sum = parts[static_cast<std::size_t>(limb)] + carry;
      low |= static_cast<unsigned __int128>(static_cast<std::uint32_t>(sum)) << (limb * kLimbBits);
      carry = sum >> kLimbBits;
    }
    const std::int64_t top = parts[kLimbs - 1] + carry;
    if (top != static_cast<std::int32_t>(top)) {
      throw out_of_range(
          static_cast<std::int64_t>(i),
          std::ldexp(static_cast<double>(top), (kLimbs - 1) * kLimbBits - fraction_bits_),
          fraction_bits_);
    }
    sums_[i] =
        static_cast<__int128>(low | (static_cast<unsigned __int128>(static_cast<__int128>(top))
                                     << ((kLimbs - 1) * kLimbBits)));
  }
}

}  // namespace cellmill
