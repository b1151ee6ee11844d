#pragma once

#include <cstdint>

#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

struct GeneTally;

/// The inner loops of SegmentMoments. Every level gives the same bits (no fused multiply-adds, a
/// fixed order of additions).
struct MomentsKernels {
  /// Sum of n values in eight interleaved partial sums; whether all are finite and ≥ 0.
  struct RowSum {
    double sum;
    bool counts;
  };
  RowSum (*row_sum)(const float* values, std::int64_t n);
  /// x[i] = values[i] · factor
  void (*scale)(const float* values, double factor, double* x, std::int64_t n);
  /// Adds x[i] to the tally of gene indices[i], i < n. `readable` ≥ n indices may be looked at.
  void (*tally)(GeneTally* tallies, const std::int32_t* indices, const double* x, std::int64_t n,
                std::int64_t readable);
};

/// \param level already resolved
[[nodiscard]] const MomentsKernels& moments_kernels(CpuLevel level);

#ifdef CELLMILL_X86_KERNELS
extern const MomentsKernels kMomentsAvx2;
#endif

}  // namespace cellmill
