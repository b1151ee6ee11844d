#pragma once

#include <cstdint>
#include <vector>

#include "analysis/concat_inputs.hpp"
#include "analysis/joint_output.hpp"
#include "analysis/segment_plan.hpp"
#include "cellmill/core/memory.hpp"

namespace cellmill {

/// What matrices are copied with.
struct ConcatContext {
  Communicator& comm;
  Arena& arena;
  MemoryBudget& budget;
  const SegmentPlan& plan;
  std::vector<std::int64_t> first_row;  ///< of each source, and at the end, in the output
  std::vector<Range> rows_of_ranks;     ///< of the output

  [[nodiscard]] std::int64_t n_rows() const { return first_row.back(); }
};

/// **Collective.** Values that a sparse matrix will have from each rank. Where a join drops columns
/// their numbers are read, but no values; dense parts are read. \param folder of scratch for
/// matrices that are not stored by rows
[[nodiscard]] std::vector<std::int64_t> count_stored(ConcatContext& context,
                                                     const JoinedMatrix& matrix,
                                                     const std::filesystem::path& folder);

/// Creates the matrix in the output. Rank 0. \param stored values over all ranks, of a sparse one
void create_matrix(Group& root, const ConcatContext& context, const JoinedMatrix& matrix,
                   std::int64_t stored);

/// **Collective.** Copies all rows, each rank its own. \param stored values of each rank
void copy_matrix(ConcatContext& context, const JoinedMatrix& matrix,
                 const std::vector<std::int64_t>& stored, JointOutput& output);

}  // namespace cellmill
