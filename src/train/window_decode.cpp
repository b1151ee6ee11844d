#include <algorithm>
#include <span>

#include "cellmill/core/stream_copy.hpp"
#include "train/batch_rows.hpp"
#include "train/window_reader.hpp"

// Of a window's stages that of decoding: fetched rows on their way into batches.

namespace cellmill {
namespace {

/// Runs `body` for the fetched rows that are wanted: (stored row, its targets).
template <class Body>
void for_wanted_rows(const WindowWork& work, const WindowWork::Read& read, std::int64_t first_row,
                     const MatrixSource& source, const FetchedRows& fetched, Body&& body) {
  auto target = work.targets.begin() + read.targets.begin;
  const auto end = work.targets.begin() + read.targets.end;
  source.visit_rows(fetched, [&](const StoredRow& row) {
    const auto first = target;
    while (target != end && target->row == first_row + row.row) ++target;
    if (first != target) {
      body(row, std::span<const WindowWork::Target>(first, target));
    }
  });
}

}  // namespace

WindowReader::Finished WindowReader::finish_row(std::size_t m, std::int32_t source, RowBuffers row,
                                                std::int64_t nnz) const {
  // The total is over all genes, also when few are kept.
  const bool summed = needs_total(m) || transform(m).target_sum.has_value();
  const double total = summed ? row_total(row.values, nnz) : 0;
  const double factor = row_factor(transform(m), total);
  const auto slots = matrices_[m]->slots(source);
  if (!slots.empty()) nnz = keep_slots(row, nnz, slots, matrices_[m]->shuffles(source));
  apply_transform(transform(m), factor, {row.values, static_cast<std::size_t>(nnz)});
  return {nnz, total};
}

WindowReader::FinishedView WindowReader::finished_row(std::size_t m, std::int32_t source,
                                                      const StoredRow& row) const {
  const RowBuffers room = row_scratch(row.nnz);
  const std::int32_t n_cols = matrices_[m]->source(source).n_cols();
  if (matrices_[m]->slots(source).empty() && !transform(m).any()) {
    const RowView view = view_row(row, n_cols, room);
    return {view, needs_total(m) ? row_total(view.values, view.nnz) : 0};
  }
  const Finished done = finish_row(m, source, room, copy_row(row, n_cols, room));
  return {{room.columns, room.values, done.nnz}, done.total};
}

void WindowReader::decode_direct(WindowWork& work, std::size_t m, std::size_t r) const {
  const WindowWork::Read& read = work.reads[r];
  WindowWork::MatrixWork& of = work.matrices[m];
  const MatrixSource& source = matrices_[m]->source(read.source);
  const std::int64_t first_row = data_->rows_of_source(read.source).begin;
  const bool dense = composes_dense();
  for_wanted_rows(
      work, read, first_row, source, *of.fetched[r], [&](const StoredRow& row, auto targets) {
        const FinishedView found = finished_row(m, read.source, row);
        for (const WindowWork::Target& target : targets) {
          if (needs_total(m)) of.totals[static_cast<std::size_t>(target.place)] = found.total;
          const std::int64_t in_window = target.place / work.window.batch_size;
          const std::int64_t in_batch = target.place % work.window.batch_size;
          const auto wanted = std::lower_bound(
              work.wanted.begin(), work.wanted.end(), in_window,
              [](const WantedBatch& a, std::int64_t b) { return a.in_window < b; });
          BatchMatrix& out =
              work.batches[static_cast<std::size_t>(wanted - work.wanted.begin())]->matrices[m];
          if (dense) {
            scatter(found, dense_row(out, in_batch));
            continue;
          }
          const auto at = static_cast<std::size_t>(out.indptr[static_cast<std::size_t>(in_batch)]);
          const auto nnz = static_cast<std::size_t>(found.nnz);
          copy_past_caches(out.indices.data() + at, found.columns, nnz * sizeof(std::int32_t));
          copy_past_caches(out.values.data() + at, found.values, nnz * sizeof(float));
          of.nnz[static_cast<std::size_t>(target.place)] = static_cast<std::int32_t>(found.nnz);
        }
      });
  if (!dense) finish_copies();
}

void WindowReader::decode_staged(WindowWork& work, std::size_t m, std::size_t r) const {
  const WindowWork::Read& read = work.reads[r];
  WindowWork::MatrixWork& of = work.matrices[m];
  const MatrixSource& source = matrices_[m]->source(read.source);
  const std::int64_t first_row = data_->rows_of_source(read.source).begin;
  WindowWork::MatrixWork::Staged& staged = of.staged[r];
  for_wanted_rows(
      work, read, first_row, source, *of.fetched[r], [&](const StoredRow& row, auto targets) {
        const FinishedView found = finished_row(m, read.source, row);
        const auto at = static_cast<std::int64_t>(staged.columns.size());
        staged.columns.insert(staged.columns.end(), found.columns, found.columns + found.nnz);
        staged.values.insert(staged.values.end(), found.values, found.values + found.nnz);
        for (const WindowWork::Target& target : targets) {
          const auto place = static_cast<std::size_t>(target.place);
          of.nnz[place] = static_cast<std::int32_t>(found.nnz);
          of.staged_at[place] = at;
          if (needs_total(m)) of.totals[place] = found.total;
        }
      });
}

}  // namespace cellmill
