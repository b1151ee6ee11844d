#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "analysis/choose_genes.hpp"
#include "analysis/obs_output.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/analysis/run.hpp"
#include "cellmill/storage/output.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"

namespace cellmill {

/// The AnnData that a run writes, Zarr or h5ad, under a partial name until it is whole. Rank 0
/// makes its skeleton and everything small; obs and the arrays of the size of the cells are written
/// by all ranks (h5ad: obs by rank 0, because its strings can't be written in parallel).
class RunOutput {
 public:
  /// Checks that the output may be made. On rank 0 it takes the partial name. \throws Error if it
  /// exists already
  RunOutput(const RunOptions& options, int rank);
  ~RunOutput();
  RunOutput(const RunOutput&) = delete;
  RunOutput& operator=(const RunOutput&) = delete;

  /// **Collective.** Everything but the projection and `uns/cellmill`. \param nonzeros of X on each
  /// rank
  void create(RunContext& run, const ChosenGenes& chosen, const Components& components,
              const std::vector<std::int64_t>& nonzeros);

  /// Where this rank's part of the projection (and of X) goes. Call within the pulse of the
  /// projection.
  [[nodiscard]] ProjectionOutputs projection_outputs(PulseControl& control);

  /// **Collective.** Writes `uns/cellmill` and gives the output its name.
  void finish(RunContext& run, const RunSummary& summary);

 private:
  void create_skeleton(const RunContext& run, const ChosenGenes& chosen,
                       const Components& components);
  void create_arrays(const RunContext& run, const Components& components);
  [[nodiscard]] std::unique_ptr<RowOutput> row_output(PulseControl& control,
                                                      const std::string& name,
                                                      std::size_t row_bytes,
                                                      const std::vector<Range>& ranges);
  [[nodiscard]] bool hdf5() const { return options_.output.extension() == ".h5ad"; }
  [[nodiscard]] std::unique_ptr<Group> open(OpenMode mode) const;

  const RunOptions& options_;
  int rank_;
  std::filesystem::path partial_;
  std::optional<AtomicOutput> atomic_;  ///< rank 0
  std::unique_ptr<Group> root_;         ///< while it is open
  std::unique_ptr<ParallelRows> rows_;  ///< h5ad, during the projection
  std::optional<ObsOutput> obs_;
  std::vector<Range> cell_rows_;
  std::vector<Range> nonzero_rows_;
  std::vector<Range> indptr_rows_;
  std::int32_t k_ = 0;
};

/// **Collective.** Every rank's timings and peak memory, on rank 0.
void gather_timings(const RunContext& run, RunSummary& summary);

}  // namespace cellmill
