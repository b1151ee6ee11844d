#include "analysis/segment_plan.hpp"

#include <algorithm>

namespace cellmill {
namespace {

constexpr std::int64_t segments_together = 25;

std::size_t source_of(const std::vector<Segment>& segments, std::int64_t at) {
  return static_cast<std::size_t>(segments[static_cast<std::size_t>(at)].source);
}

/// The end of a run of segments [begin, …) of one source.
std::int64_t run_end(const std::vector<Segment>& segments, std::int64_t begin, std::int64_t end) {
  std::int64_t stop = begin;
  while (stop < end && stop - begin < segments_together &&
         source_of(segments, stop) == source_of(segments, begin)) {
    ++stop;
  }
  return stop;
}

}  // namespace

std::vector<Range> runs_of(const std::vector<Segment>& segments, Range part) {
  std::vector<Range> runs;
  for (std::int64_t at = part.begin; at < part.end; at = runs.back().end) {
    runs.push_back({at, run_end(segments, at, part.end)});
  }
  return runs;
}

Range rows_of(const std::vector<Segment>& segments, Range run) {
  return {segments[static_cast<std::size_t>(run.begin)].rows.begin,
          segments[static_cast<std::size_t>(run.end) - 1].rows.end};
}

Range part_of_source(const SegmentPlan& plan, std::size_t source) {
  Range part = plan.mine;
  while (part.begin < part.end && source_of(plan.segments, part.begin) != source) ++part.begin;
  while (part.begin < part.end && source_of(plan.segments, part.end - 1) != source) --part.end;
  return part;
}

void count_nonzeros(std::vector<Segment>& segments, Matrices matrices, Range part, Arena& arena) {
  const std::vector<Range> runs = runs_of(segments, part);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows = rows_of(segments, run);
    const MatrixSource* matrix = matrices[source_of(segments, run.begin)];
    if (matrix == nullptr) return;
    const std::vector<std::int64_t> indptr = matrix->indptr(rows);
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      Segment& segment = segments[static_cast<std::size_t>(at)];
      segment.nnz = indptr[static_cast<std::size_t>(segment.rows.end - rows.begin)] -
                    indptr[static_cast<std::size_t>(segment.rows.begin - rows.begin)];
    }
  });
}

void prepare_rows(const SegmentPlan& plan, Matrices matrices, const std::filesystem::path& folder,
                  Arena& arena) {
  for (std::size_t source = 0; source < matrices.size(); ++source) {
    if (matrices[source] == nullptr || matrices[source]->has_rows()) continue;
    const Range part = part_of_source(plan, source);
    if (!part.empty()) matrices[source]->prepare(rows_of(plan.segments, part), folder, arena);
  }
}

SegmentPlan plan_segments(std::span<const std::int64_t> rows, Matrices matrices, Communicator& comm,
                          Arena& arena) {
  SegmentPlan plan;
  plan.segments = make_segments(rows);
  const auto n_segments = static_cast<std::int64_t>(plan.segments.size());
  const Range part = even_part(n_segments, comm.size(), comm.rank());
  with_pulse(comm, [&](PulseControl&) { count_nonzeros(plan.segments, matrices, part, arena); });
  std::vector<std::int64_t> numbers;
  for (std::int64_t at = part.begin; at < part.end; ++at) {
    numbers.push_back(plan.segments[static_cast<std::size_t>(at)].nnz);
  }
  numbers = all_gather(comm, numbers);
  for (std::size_t at = 0; at < plan.segments.size(); ++at) plan.segments[at].nnz = numbers[at];

  const ShardPlan shards(plan.segments, comm.size());
  for (int rank = 0; rank < comm.size(); ++rank) plan.shards.push_back(shards.segments_of(rank));
  plan.mine = shards.segments_of(comm.rank());
  return plan;
}

}  // namespace cellmill
