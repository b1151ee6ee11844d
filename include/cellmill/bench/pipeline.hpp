#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cellmill/analysis/run.hpp"
#include "cellmill/bench/limits.hpp"

namespace cellmill {

/// The main job against the sum of what its parts cost at this machine's limits, in the same run.
struct PipelineBench {
  RunSummary summary;
  double seconds = 0;            ///< of the job, MPI's start included
  double seconds_of_limits = 0;  ///< the parts below, added up
  double inflate_seconds = 0;    ///< all of X, at the rate at which its own chunks decode
  double copy_seconds = 0;       ///< scratch written and read once, X_pca written
  double moments_seconds = 0;
  double gram_seconds = 0;        ///< scaled by the square of the non-zeros of the kept genes
  double projection_seconds = 0;  ///< scaled by the non-zeros of the kept genes
  double eigen_seconds = 0;       ///< of as many genes and components as the job had
  double mpi_start_seconds = 0;
};

/// **Collective.** Runs the job into `folder` (removed afterwards), then measures the limits on
/// each rank at once, as the job had the machine; valid on rank 0.
[[nodiscard]] PipelineBench bench_pipeline(const RunOptions& options, Communicator& comm,
                                           Arena& arena, double mpi_start_seconds);

[[nodiscard]] std::string pipeline_text(const PipelineBench& bench);
[[nodiscard]] nlohmann::json pipeline_json(const PipelineBench& bench);

}  // namespace cellmill
