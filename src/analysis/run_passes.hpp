#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

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
  std::vector<RunSummary::Timing> timings;  ///< of this rank

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

/// Where pass 3 writes; X's three are null unless `--write-x`.
struct ProjectionOutputs {
  std::unique_ptr<RowOutput> x_pca;
  std::unique_ptr<RowOutput> indptr;
  std::unique_ptr<RowOutput> indices;
  std::unique_ptr<RowOutput> values;
};

/// **Collective.** Pass 3: cells times loadings, appended to the outputs that `make_outputs` makes
/// (they need the pulse's control); then the outputs' borders are exchanged.
void project_pass(RunContext& run, const Components& components, const std::vector<double>& factors,
                  const GeneSlots& slots, const BlobStore& cache, const BlobStore& small,
                  std::int64_t first_nonzero,
                  const std::function<ProjectionOutputs(PulseControl&)>& make_outputs);

}  // namespace cellmill
