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

std::vector<const MatrixSource*> matrices_of(const RunInputs& inputs) {
  std::vector<const MatrixSource*> matrices;
  for (const Plate& plate : inputs.plates) matrices.push_back(&plate.data->x());
  return matrices;
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
  std::vector<const MatrixSource*> unsorted = matrices_of(inputs);
  for (const MatrixSource*& x : unsorted) x = x->has_rows() ? nullptr : x;
  prepare_rows(plan, unsorted, folder, arena);
  count_nonzeros(plan.segments, unsorted, plan.mine, arena);  // until now they were a guess
}

CellPlan plan_cells(const RunInputs& inputs, const RunOptions& options, Communicator& comm,
                    Arena& arena) {
  std::vector<std::int64_t> rows;
  for (const Plate& plate : inputs.plates) rows.push_back(plate.data->n_obs());
  CellPlan plan{plan_segments(rows, matrices_of(inputs), comm, arena), {}, {}, {}, {}};
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
