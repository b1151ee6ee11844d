#pragma once

#include <cstdint>

#include "cellmill/compute/backend.hpp"
#include "cellmill/compute/eigen.hpp"
#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// Made-up data for measuring the kernels. The genes of the Gram matrix and the projection are
/// present in 0.71 / (1 + rank / 66.8) of the cells: at 2,304 genes that is 161 non-zeros a cell,
/// the hottest gene in 71%, the rarest in 2%, as in the reference workload. Cells differ in depth
/// (lognormal, 0.3).
struct KernelRateOptions {
  std::int32_t n_genes = 2304;       ///< of the Gram matrix and the projection
  std::int32_t n_components = 300;   ///< of the projection
  std::int32_t n_all_genes = 62710;  ///< of the raw counts
  std::int32_t raw_nonzeros = 1750;  ///< a cell of the raw counts, about
  std::int32_t rows = 2000;          ///< a segment
  double seconds = 0.5;              ///< that a measurement lasts at least; the best of its rounds
                                     ///< counts
};

// Cells per second with all of the arena's threads, each on segments of its own.

/// GramAccumulator::add of log-normalised segments.
[[nodiscard]] double gram_rate(Arena& arena, const Backend& backend,
                               const KernelRateOptions& options = {});
/// Projector::project of log-normalised segments.
[[nodiscard]] double projection_rate(Arena& arena, const Backend& backend,
                                     const KernelRateOptions& options = {});
/// SegmentMoments::add_fractions and GeneSums::add of raw counts.
[[nodiscard]] double moments_rate(Arena& arena, const KernelRateOptions& options = {});
/// normalise_log1p of the kept genes' counts.
[[nodiscard]] double normalise_rate(Arena& arena, const KernelRateOptions& options = {});

/// Seconds that largest_eigenpairs takes for a covariance-like n × n matrix.
[[nodiscard]] double eigen_seconds(std::int64_t n, std::int64_t k,
                                   EigenMethod method = EigenMethod::automatic);

}  // namespace cellmill
