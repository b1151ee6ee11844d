#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/stream/segment.hpp"

namespace cellmill {

/// Segments of all sources, and who reads which.
struct SegmentPlan {
  std::vector<Segment> segments;
  std::vector<Range> shards;  ///< segments of each rank
  Range mine;                 ///< this rank's
};

/// One matrix of each source; null where there is none.
using Matrices = std::span<const MatrixSource* const>;

/// **Collective.** Non-zeros of every segment (each rank looks at an even part of the offsets) and
/// shards from them. \param rows of each source
[[nodiscard]] SegmentPlan plan_segments(std::span<const std::int64_t> rows, Matrices matrices,
                                        Communicator& comm, Arena& arena);

/// Sorts this rank's rows of the matrices that are not stored by rows (CSC, dense). Not collective:
/// under the pulse. \param folder of scratch; empty: none
void prepare_rows(const SegmentPlan& plan, Matrices matrices, const std::filesystem::path& folder,
                  Arena& arena);

/// Counts the non-zeros of those of segments [part) whose source has a matrix, from its offsets.
void count_nonzeros(std::vector<Segment>& segments, Matrices matrices, Range part, Arena& arena);

/// Runs of neighbouring segments of one source in [part), so long that a chunk of offsets or obs is
/// decoded once or twice, not often.
[[nodiscard]] std::vector<Range> runs_of(const std::vector<Segment>& segments, Range part);

/// The rows of a run of segments of one source.
[[nodiscard]] Range rows_of(const std::vector<Segment>& segments, Range run);

/// This rank's segments of one source.
[[nodiscard]] Range part_of_source(const SegmentPlan& plan, std::size_t source);

}  // namespace cellmill
