#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "analysis/checkpoint.hpp"
#include "analysis/checkpoint_file.hpp"
#include "analysis/row_output.hpp"
#include "analysis/run_inputs.hpp"
#include "analysis/segment_reader.hpp"
#include "cellmill/analysis/hvg.hpp"
#include "cellmill/analysis/run.hpp"
#include "cellmill/compute/backend.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/stream/blob_store.hpp"
#include "cellmill/stream/pipeline.hpp"

namespace cellmill {

/// What every pass of the main job works with.
struct RunContext {
  const RunOptions& options;
  Communicator& comm;
  Arena& arena;
  MemoryBudget& budget;
  const RunInputs& inputs;
  const CellPlan& plan;
  const Checkpoint* checkpoint;             ///< null: none
  std::vector<RunSummary::Timing> timings;  ///< of this rank
  std::vector<RunSummary::Exchange> exchanges;

  [[nodiscard]] PassResources resources() const { return {arena, budget}; }
};

/// Per-gene sums of one batch over all ranks, of fractions x/c or of log values.
struct BatchSums {
  std::int64_t n_cells = 0;
  std::vector<double> sum;
  std::vector<double> sum_squares;
  std::vector<double> max;
  std::vector<std::int64_t> count;  ///< cells that have the gene
};

/// What pass 1 leaves.
struct Counts {
  std::vector<double> cell_sums;    ///< of each kept cell of this rank, in order
  std::vector<BatchSums> batches;   ///< of x/c; the same on every rank
  std::vector<double> target_sums;  ///< of each batch
  std::int64_t resumed_cells = 0;   ///< that earlier attempts had counted, of all ranks
};

/// **Collective.** Pass 1: reads the plates once; row sums, per-gene sums of x/c for each batch,
/// medians; fills `cache`.
[[nodiscard]] Counts count_pass(RunContext& run, BlobStore& cache);

/// **Collective.** Per-gene sums of the log-normalised data (cell_ranger needs them, and needs the
/// medians first).
[[nodiscard]] std::vector<BatchSums> log_pass(RunContext& run, const Counts& counts,
                                              const BlobStore& cache);

/// T/c for each kept cell of this rank: what its counts are multiplied with. An empty cell's is 1.
[[nodiscard]] std::vector<double> cell_factors(const RunContext& run, const Counts& counts);

/// Where a Gram matrix of so many cells is accumulated: in double precision while that costs
/// little. The fast kernels add up runs of cells in single precision; over many runs their rounding
/// averages out (docs/numerics.md).
[[nodiscard]] std::unique_ptr<Backend> backend_for_gram(std::int64_t n_cells);

/// What pass 2 leaves.
struct Components {
  std::vector<double> loadings;        ///< genes × k, row-major
  std::vector<double> variance;        ///< k
  std::vector<double> variance_ratio;  ///< k
  std::vector<double> offset;          ///< k: means · loadings
  std::int32_t k = 0;
};

/// **Collective.** Pass 2: the kept genes' Gram matrix of log-normalised values, then the
/// eigenvectors on rank 0, broadcast. `small` gets the kept genes' counts, by segment; `kept_nnz`
/// the non-zeros of each of this rank's segments.
[[nodiscard]] Components gram_pass(RunContext& run, const Counts& counts,
                                   const std::vector<double>& factors, const GeneSlots& slots,
                                   const std::vector<std::int32_t>& genes, const BlobStore& cache,
                                   BlobStore& small, std::vector<std::int64_t>& kept_nnz);

/// Where pass 3 writes, by the array's name; X's three are there only with `--write-x`.
using ProjectionOutputs = std::map<std::string, std::unique_ptr<RowOutput>>;
inline constexpr const char* x_pca_name = "obsm/X_pca";
inline constexpr const char* indptr_name = "X/indptr";
inline constexpr const char* indices_name = "X/indices";
inline constexpr const char* values_name = "X/data";

/// Of pass 3's files in a checkpoint.
inline constexpr const char* projection_pass = "projection";

struct ProjectionTarget {
  std::filesystem::path partial;  ///< the output while it is written
  /// Makes the outputs, which need the pulse's control; given the rows that are written already.
  std::function<ProjectionOutputs(PulseControl&, const RowsOfArrays&)> open;
};

/// **Collective.** Pass 3: cells times loadings, appended to the target's outputs; then the
/// outputs' borders are exchanged. \param nonzeros_before of the kept genes, of each segment and at
/// the end
void project_pass(RunContext& run, const Components& components, const std::vector<double>& factors,
                  const GeneSlots& slots, const BlobStore& cache, const BlobStore& small,
                  const std::vector<std::int64_t>& nonzeros_before, const ProjectionTarget& target);

}  // namespace cellmill
