#include <algorithm>
#include <mutex>
#include <numeric>

#include "analysis/run_inputs.hpp"

namespace cellmill {

std::vector<Range> CellPlan::rows_of_ranks() const {
  std::vector<Range> rows;
  rows.reserve(shards.size());
  for (const Range& shard : shards) {
    rows.push_back({kept_before[static_cast<std::size_t>(shard.begin)],
                    kept_before[static_cast<std::size_t>(shard.end)]});
  }
  return rows;
}

std::int64_t CellPlan::kept_of_plate(std::int32_t plate) const {
  std::int64_t kept = 0;
  for (std::size_t at = 0; at < segments.size(); ++at) {
    if (segments[at].source == plate) kept += kept_before[at + 1] - kept_before[at];
  }
  return kept;
}

namespace {

/// Segments whose offsets or obs are read together: enough that a chunk of either is decoded once
/// or twice, not often.
constexpr std::int64_t segments_together = 25;

/// The end of a run of segments [begin, …) of one plate, at most `limit` long.
std::int64_t run_end(const std::vector<Segment>& segments, std::int64_t begin, std::int64_t end) {
  std::int64_t stop = begin;
  while (stop < end && stop - begin < segments_together &&
         segments[static_cast<std::size_t>(stop)].source ==
             segments[static_cast<std::size_t>(begin)].source) {
    ++stop;
  }
  return stop;
}

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

void count_nonzeros(const RunInputs& inputs, std::vector<Segment>& segments, Range part,
                    Arena& arena) {
  const std::vector<Range> runs = runs_of(segments, part);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows = rows_of(segments, run);
    const auto source =
        static_cast<std::size_t>(segments[static_cast<std::size_t>(run.begin)].source);
    const std::vector<std::int64_t> indptr = inputs.plates[source].data->x().indptr(rows);
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      Segment& segment = segments[static_cast<std::size_t>(at)];
      segment.nnz = indptr[static_cast<std::size_t>(segment.rows.end - rows.begin)] -
                    indptr[static_cast<std::size_t>(segment.rows.begin - rows.begin)];
    }
  });
}

/// Masks of this rank's segments and the batches of the cells that stay.
void choose_cells(const RunInputs& inputs, const RunOptions& options, CellPlan& plan,
                  Arena& arena) {
  const auto n_mine = static_cast<std::size_t>(plan.mine.size());
  plan.keep.resize(n_mine);
  std::vector<std::vector<std::int32_t>> batches(n_mine);
  plan.read_of_batch.assign(inputs.batches.size(), 0);
  std::mutex counting;
  const std::vector<Range> runs = runs_of(plan.segments, plan.mine);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows = rows_of(plan.segments, run);
    const std::int32_t source = plan.segments[static_cast<std::size_t>(run.begin)].source;
    const Plate& plate = inputs.plates[static_cast<std::size_t>(source)];
    const std::vector<bool> keep = kept_rows(inputs, plate, rows, options);
    std::vector<std::int32_t> codes;
    std::vector<std::int64_t> read(inputs.batches.size(), 0);
    if (options.batch_key) {
      codes = plate.data->obs().read(*options.batch_key, rows).codes;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        if (codes[i] >= 0)
          ++read[static_cast<std::size_t>(plate.batch_level[static_cast<std::size_t>(codes[i])])];
      }
    } else {
      read[static_cast<std::size_t>(source)] = rows.size();
    }
    {
      const std::lock_guard lock(counting);
      for (std::size_t b = 0; b < read.size(); ++b) plan.read_of_batch[b] += read[b];
    }
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      const Range mine = plan.segments[static_cast<std::size_t>(at)].rows;
      const auto slot = static_cast<std::size_t>(at - plan.mine.begin);
      for (std::int64_t row = mine.begin - rows.begin; row < mine.end - rows.begin; ++row) {
        const auto i = static_cast<std::size_t>(row);
        plan.keep[slot].push_back(keep[i]);
        if (!keep[i]) continue;
        batches[slot].push_back(
            options.batch_key ? plate.batch_level[static_cast<std::size_t>(codes[i])] : source);
      }
    }
  });
  for (const auto& of_segment : batches)
    plan.batch.insert(plan.batch.end(), of_segment.begin(), of_segment.end());
}

}  // namespace

void prepare_rows(const RunInputs& inputs, const std::filesystem::path& folder, CellPlan& plan,
                  Arena& arena) {
  for (std::size_t p = 0; p < inputs.plates.size(); ++p) {
    Range part = plan.mine;  // of this plate
    const auto source_of = [&](std::int64_t at) {
      return static_cast<std::size_t>(plan.segments[static_cast<std::size_t>(at)].source);
    };
    while (part.begin < part.end && source_of(part.begin) != p) ++part.begin;
    while (part.begin < part.end && source_of(part.end - 1) != p) --part.end;
    const MatrixSource& x = inputs.plates[p].data->x();
    if (part.empty() || x.has_rows()) continue;
    x.prepare(rows_of(plan.segments, part), folder, arena);
    count_nonzeros(inputs, plan.segments, part, arena);
  }
}

CellPlan plan_cells(const RunInputs& inputs, const RunOptions& options, Communicator& comm,
                    Arena& arena) {
  std::vector<std::int64_t> rows;
  for (const Plate& plate : inputs.plates) rows.push_back(plate.data->n_obs());
  CellPlan plan;
  plan.segments = make_segments(rows);
  const auto n_segments = static_cast<std::int64_t>(plan.segments.size());

  const Range part = even_part(n_segments, comm.size(), comm.rank());
  with_pulse(comm, [&](PulseControl&) { count_nonzeros(inputs, plan.segments, part, arena); });
  std::vector<std::int64_t> numbers;
  for (std::int64_t at = part.begin; at < part.end; ++at) {
    numbers.push_back(plan.segments[static_cast<std::size_t>(at)].nnz);
  }
  numbers = all_gather(comm, numbers);
  for (std::size_t at = 0; at < plan.segments.size(); ++at) plan.segments[at].nnz = numbers[at];

  const ShardPlan shards(plan.segments, comm.size());
  for (int rank = 0; rank < comm.size(); ++rank) plan.shards.push_back(shards.segments_of(rank));
  plan.mine = shards.segments_of(comm.rank());
  with_pulse(comm, [&](PulseControl&) { choose_cells(inputs, options, plan, arena); });

  std::vector<std::int64_t> kept;
  for (const auto& of_segment : plan.keep)
    kept.push_back(std::count(of_segment.begin(), of_segment.end(), true));
  kept = all_gather(comm, kept);
  comm.all_reduce_sum(plan.read_of_batch);
  plan.kept_before.assign(1, 0);
  std::partial_sum(kept.begin(), kept.end(), std::back_inserter(plan.kept_before));
  return plan;
}

}  // namespace cellmill
