#pragma once

#include <cstdint>

#include "moments_kernels.hpp"

namespace cellmill {

/// The loops that the compiler vectorises by itself, one copy for each level's flags (`Level` makes
/// the copies distinct: a function compiled for AVX2 must not stand in for the plain one).
template <CpuLevel Level>
struct MomentsLoops {
  static MomentsKernels::RowSum row_sum(const float* values, std::int64_t n) {
    constexpr int kLanes = 8;
    constexpr float kLargest = __FLT_MAX__;
    double sums[kLanes] = {};
    std::int32_t bad = 0;
    std::int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) {
        const float value = values[i + lane];
        bad |= static_cast<std::int32_t>(!(value >= 0)) |
               static_cast<std::int32_t>(!(value <= kLargest));
        sums[lane] += static_cast<double>(value);
      }
    }
    for (; i < n; ++i) {
      const float value = values[i];
      bad |= static_cast<std::int32_t>(!(value >= 0)) |
             static_cast<std::int32_t>(!(value <= kLargest));
      sums[i % kLanes] += static_cast<double>(value);
    }
    return {
        ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7])),
        bad == 0};
  }

  static void scale(const float* values, double factor, double* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) x[i] = static_cast<double>(values[i]) * factor;
  }
};

}  // namespace cellmill
