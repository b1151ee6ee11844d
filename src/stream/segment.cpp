#include "cellmill/stream/segment.hpp"

#include <algorithm>

namespace cellmill {

std::vector<Segment> make_segments(std::span<const std::int64_t> rows_of_sources) {
  std::vector<Segment> segments;
  for (std::size_t source = 0; source < rows_of_sources.size(); ++source) {
    const std::int64_t rows = rows_of_sources[source];
    for (std::int64_t begin = 0; begin < rows; begin += segment_rows) {
      segments.push_back(
          {static_cast<std::int32_t>(source), {begin, std::min(begin + segment_rows, rows)}, 0});
    }
  }
  return segments;
}

ShardPlan::ShardPlan(std::span<const Segment> segments, int ranks) {
  // A row costs about as much as ten of its non-zeros even when it is empty (offsets, obs, output).
  constexpr std::int64_t row_weight = 10;
  const auto weight = [](const Segment& segment) {
    return segment.nnz + row_weight * segment.rows.size();
  };
  std::int64_t total = 0;
  for (const Segment& segment : segments) total += weight(segment);

  borders_.push_back(0);
  std::int64_t before = 0;
  std::size_t next = 0;
  for (int rank = 1; rank < ranks; ++rank) {
    const auto target = static_cast<std::int64_t>(static_cast<__int128>(total) * rank / ranks);
    // The border nearest to the target: a segment goes to the left if more than half of it lies
    // there.
    while (next < segments.size() && before + weight(segments[next]) / 2 < target)
      before += weight(segments[next++]);
    borders_.push_back(static_cast<std::int64_t>(next));
  }
  borders_.push_back(static_cast<std::int64_t>(segments.size()));
}

}  // namespace cellmill
