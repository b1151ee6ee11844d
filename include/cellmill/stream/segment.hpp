#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/core/ranges.hpp"

namespace cellmill {

/// Rows in a segment.
inline constexpr std::int64_t segment_rows = 2000;

/// A run of rows of one source: the unit of numerics (partial sums) and of checkpoints. From the
/// data alone, never from ranks or threads, so that results are the same bits on any number of
/// either.
struct Segment {
  std::int32_t source = 0;
  Range rows;            ///< of the source, all of them, kept or not
  std::int64_t nnz = 0;  ///< stored values in these rows
};

/// Cuts sources of so many rows into segments, the last one of each source shorter; nnz is left 0.
[[nodiscard]] std::vector<Segment> make_segments(std::span<const std::int64_t> rows_of_sources);

/// Which rank reads which segments: one contiguous range each, disjoint and complete by
/// construction, balanced by non-zeros (and a little by rows, so that empty cells count too).
class ShardPlan {
 public:
  ShardPlan(std::span<const Segment> segments, int ranks);
  [[nodiscard]] int ranks() const { return static_cast<int>(borders_.size()) - 1; }
  [[nodiscard]] Range segments_of(int rank) const {
    const auto at = static_cast<std::size_t>(rank);
    return {borders_[at], borders_[at + 1]};
  }

 private:
  std::vector<std::int64_t> borders_;
};

}  // namespace cellmill
