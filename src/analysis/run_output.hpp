#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "analysis/choose_genes.hpp"
#include "analysis/joint_output.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/analysis/run.hpp"

namespace cellmill {

/// The AnnData that a run writes.
class RunOutput {
 public:
  /// Checks that the output may be made. \param leftover keep: create() goes on with what an
  /// earlier attempt of the same run left; the same on every rank
  /// \throws Error if it exists already
  RunOutput(const RunOptions& options, Communicator& comm, Leftover leftover);

  /// **Collective.** Everything but the projection and `uns/cellmill`, and on the disk if there is
  /// a checkpoint. \param nonzeros_before of X, of each segment and at the end: in those before
  void create(RunContext& run, const ChosenGenes& chosen, const Components& components,
              const std::vector<std::int64_t>& nonzeros_before);

  /// If the run does not come to its end, what is there stays for a later attempt.
  void keep_partial() { output_.keep_partial(); }
  [[nodiscard]] const std::filesystem::path& partial() const { return output_.partial(); }

  /// Where this rank's part of the projection (and of X) goes. Call within the pulse of the
  /// projection. \param done rows that need not be written again
  [[nodiscard]] ProjectionOutputs projection_outputs(PulseControl& control,
                                                     const RowsOfArrays& done);

  /// **Collective.** Writes `uns/cellmill` and gives the output its name.
  void finish(const RunContext& run, const std::string& fingerprint, const RunSummary& summary);

 private:
  void create_arrays(Group& root, const RunContext& run, const Components& components) const;

  const RunOptions& options_;
  Leftover leftover_;
  JointOutput output_;
  std::vector<Range> cell_rows_;
  std::vector<Range> nonzero_rows_;
  std::vector<Range> indptr_rows_;
  std::int32_t k_ = 0;
};

/// Bytes that the chunks being filled and written take, at most, on each rank.
[[nodiscard]] std::int64_t output_buffers(const RunOptions& options);

/// Whether what lies under the output's partial name is this run's, as create() left it.
[[nodiscard]] bool is_partial_of(const std::filesystem::path& output, const std::string& run);

/// **Collective.** Every rank's timings and peak memory, on rank 0.
void gather_timings(const RunContext& run, RunSummary& summary);

}  // namespace cellmill
