#pragma once

#include <cstdint>
#include <vector>

#include "analysis/choose_genes.hpp"
#include "analysis/joint_output.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/analysis/run.hpp"

namespace cellmill {

/// The AnnData that a run writes.
class RunOutput {
 public:
  /// Checks that the output may be made. \throws Error if it exists already
  RunOutput(const RunOptions& options, Communicator& comm);

  /// **Collective.** Everything but the projection and `uns/cellmill`. \param nonzeros of X on each
  /// rank
  void create(RunContext& run, const ChosenGenes& chosen, const Components& components,
              const std::vector<std::int64_t>& nonzeros);

  /// Where this rank's part of the projection (and of X) goes. Call within the pulse of the
  /// projection.
  [[nodiscard]] ProjectionOutputs projection_outputs(PulseControl& control);

  /// **Collective.** Writes `uns/cellmill` and gives the output its name.
  void finish(const RunSummary& summary);

 private:
  void create_arrays(Group& root, const RunContext& run, const Components& components) const;

  const RunOptions& options_;
  JointOutput output_;
  std::vector<Range> cell_rows_;
  std::vector<Range> nonzero_rows_;
  std::vector<Range> indptr_rows_;
  std::int32_t k_ = 0;
};

/// **Collective.** Every rank's timings and peak memory, on rank 0.
void gather_timings(const RunContext& run, RunSummary& summary);

}  // namespace cellmill
