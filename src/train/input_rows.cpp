#include "train/input_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/anndata/selection.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Segments whose offsets or obs are read together: enough that a chunk of either is decoded once
/// or twice, not often.
constexpr std::int64_t segments_together = 25;

/// Runs of neighbouring segments of one source.
std::vector<Range> runs_of(const std::vector<Segment>& segments) {
  std::vector<Range> runs;
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(segments.size()); ++at) {
    const bool goes_on = !runs.empty() && runs.back().size() < segments_together &&
                         segments[static_cast<std::size_t>(runs.back().begin)].source ==
                             segments[static_cast<std::size_t>(at)].source;
    if (goes_on) {
      ++runs.back().end;
    } else {
      runs.push_back({at, at + 1});
    }
  }
  return runs;
}

}  // namespace

InputRows::InputRows(const InputChoice& choice, Arena& arena, const std::function<void()>& check) {
  data_ = Dataset::open({choice.inputs, choice.gene_key, {}});
  for (std::int32_t source = 0; source < data_->n_sources(); ++source) {
    names_.push_back(plate_label(data_->source(source).path()));
    matrices_.emplace_back(data_->source(source), choice.matrix);
  }
  genes_ = choose_genes(*data_, choice.matrix, choice.join, choice.genes);
  if (!genes_.warning.empty()) log_warning(genes_.warning);
  if (genes_.names.empty()) throw input_error(names_.front() + ": there are no genes");
  if (genes_.absent > 0) {
    log_warning(fmt::format("{} of the {} genes asked for are in no input: their columns are zero",
                            grouped(genes_.absent), grouped(n_genes())));
  }
  segments_ = make_segments(data_->rows_of_sources());
  filter_rows(choice.filter, arena, check);
}

void InputRows::filter_rows(const std::optional<std::string>& condition, Arena& arena,
                            const std::function<void()>& check) {
  std::optional<Selection> filter;
  if (condition) {
    filter.emplace(*condition);
    for (std::int32_t source = 0; source < data_->n_sources(); ++source) {
      filter->check(data_->source(source).obs());
    }
  }
  keep_.resize(segments_.size());
  kept_nonzeros_.resize(segments_.size());
  const std::vector<Range> runs = runs_of(segments_);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    check();
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows{segment(run.begin).rows.begin, segment(run.end - 1).rows.end};
    const DataFrame& obs = data_->source(segment(run.begin).source).obs();
    const std::vector<bool> keep =
        filter ? filter->evaluate(obs, rows)
               : std::vector<bool>(static_cast<std::size_t>(rows.size()), true);
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      const Range mine = segment(at).rows;
      keep_[static_cast<std::size_t>(at)].assign(keep.begin() + (mine.begin - rows.begin),
                                                 keep.begin() + (mine.end - rows.begin));
    }
    count_nonzeros(run);
  });
  kept_before_.assign(1, 0);
  for (const auto& keep : keep_) {
    kept_before_.push_back(kept_before_.back() + std::count(keep.begin(), keep.end(), true));
  }
  stored_nonzeros_ = std::accumulate(kept_nonzeros_.begin(), kept_nonzeros_.end(), std::int64_t{0});
  for (std::int32_t source = 0; source < data_->n_sources(); ++source) {
    const auto first = std::find_if(segments_.begin(), segments_.end(),
                                    [&](const Segment& one) { return one.source == source; });
    std::int64_t kept_here = 0;
    for (auto at = first - segments_.begin(); at < n_segments() && segment(at).source == source;
         ++at) {
      kept_here += kept(at).size();
    }
    if (kept_here == 0 && n_cells() > 0) {
      log_warning(fmt::format("{}: none of its {} cells is kept", data_->source(source).name(),
                              grouped(data_->source(source).n_obs())));
    }
  }
  if (n_cells() > 0) return;
  throw input_error(filter && data_->n_obs() > 0
                        ? fmt::format("no cell passes the filter {} (of {} cells)", filter->text(),
                                      grouped(data_->n_obs()))
                        : fmt::format("{}: there are no cells", data_->source(0).name()));
}

void InputRows::count_nonzeros(Range run) {
  const Range rows{segment(run.begin).rows.begin, segment(run.end - 1).rows.end};
  const std::vector<std::int64_t> indptr = matrix(segment(run.begin).source).indptr(rows);
  for (std::int64_t at = run.begin; at < run.end; ++at) {
    Segment& counted = segments_[static_cast<std::size_t>(at)];
    const auto first = static_cast<std::size_t>(counted.rows.begin - rows.begin);
    const auto last = static_cast<std::size_t>(counted.rows.end - rows.begin);
    counted.nnz = indptr[last] - indptr[first];
    std::int64_t kept_here = 0;
    for (std::size_t row = first; row < last; ++row) {
      if (keep(at)[row - first]) kept_here += indptr[row + 1] - indptr[row];
    }
    kept_nonzeros_[static_cast<std::size_t>(at)] = kept_here;
  }
}

void InputRows::prepare(const std::filesystem::path& scratch, Arena& arena) {
  for (std::int32_t source = 0; source < data_->n_sources(); ++source) {
    if (matrix(source).has_rows()) continue;
    matrix(source).prepare({0, matrix(source).n_rows()}, scratch, arena);
  }
  for (const Range& run : runs_of(segments_)) {
    if (!matrix(segment(run.begin).source).has_rows()) count_nonzeros(run);
  }
  stored_nonzeros_ = std::accumulate(kept_nonzeros_.begin(), kept_nonzeros_.end(), std::int64_t{0});
}

std::int64_t InputRows::segment_of(std::int64_t kept_cell) const {
  const auto after = std::upper_bound(kept_before_.begin(), kept_before_.end(), kept_cell);
  return after - kept_before_.begin() - 1;
}

}  // namespace cellmill
