#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/stream_copy.hpp"
#include "cellmill/core/text.hpp"
#include "train/gene_selection.hpp"
#include "train/window_reader.hpp"

namespace cellmill {
namespace {

/// Room for one row of any source, kept by the thread.
RowBuffers row_scratch(std::int64_t nnz) {
  thread_local RawVector<std::int32_t> columns;
  thread_local RawVector<float> values;
  const auto room = static_cast<std::size_t>(nnz + PackedRows::slack);
  if (columns.size() < room) {
    columns.resize(room);
    values.resize(room);
  }
  return {columns.data(), values.data()};
}

void scatter(RowView row, std::span<float> dense) {
  std::fill(dense.begin(), dense.end(), 0.0F);
  for (std::int64_t i = 0; i < row.nnz; ++i) {
    dense[static_cast<std::size_t>(row.columns[i])] = row.values[i];
  }
}

std::span<float> dense_row(BatchMatrix& matrix, std::int64_t row) {
  const auto columns = static_cast<std::size_t>(matrix.n_cols);
  return std::span(matrix.dense).subspan(static_cast<std::size_t>(row) * columns, columns);
}

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

void WindowReader::compose_staged(WindowWork& work, std::size_t wanted, std::size_t m,
                                  BatchMatrix& out) const {
  const WindowWork::MatrixWork& of = work.matrices[m];
  make_offsets(work, wanted, m, out);
  resize_for_reuse(out.indices, static_cast<std::size_t>(out.nnz()));
  resize_for_reuse(out.values, static_cast<std::size_t>(out.nnz()));
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  for (std::size_t row = 0; row + 1 < out.indptr.size(); ++row) {
    const auto place = static_cast<std::size_t>(begin) + row;
    const std::int32_t read = work.read_of_place[place];
    if (read < 0) continue;
    const auto& staged = of.staged[static_cast<std::size_t>(read)];
    std::copy_n(staged.columns.begin() + of.staged_at[place], of.nnz[place],
                out.indices.begin() + out.indptr[row]);
    std::copy_n(staged.values.begin() + of.staged_at[place], of.nnz[place],
                out.values.begin() + out.indptr[row]);
  }
}

void WindowReader::compose_direct(WindowWork& work, std::size_t wanted, std::size_t m,
                                  BatchMatrix& out) const {
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  const std::size_t rows = out.indptr.size() - 1;
  if (composes_dense()) {
    for (std::size_t row = 0; row < rows; ++row) {
      if (work.read_of_place[static_cast<std::size_t>(begin) + row] >= 0) continue;
      const std::span<float> empty = dense_row(out, static_cast<std::int64_t>(row));
      std::fill(empty.begin(), empty.end(), 0.0F);
    }
    return;
  }
  // Where repeated columns were added up, rows have become shorter than their room.
  const WindowWork::MatrixWork& of = work.matrices[m];
  std::int32_t to = 0;
  std::int32_t from = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::int32_t nnz = of.nnz[static_cast<std::size_t>(begin) + row];
    if (to != from) {
      std::memmove(out.indices.data() + to, out.indices.data() + from,
                   static_cast<std::size_t>(nnz) * sizeof(std::int32_t));
      std::memmove(out.values.data() + to, out.values.data() + from,
                   static_cast<std::size_t>(nnz) * sizeof(float));
    }
    from = out.indptr[row + 1];
    to += nnz;
    out.indptr[row + 1] = to;
  }
}

void WindowReader::compose_packed(WindowWork& work, std::size_t wanted, std::size_t m,
                                  BatchMatrix& out, TokenWriter* tokens) const {
  const JoinedMatrix& matrix = *matrices_[m];
  const WindowWork::MatrixWork& of = work.matrices[m];
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  make_offsets(work, wanted, m, out);  // as stored: upper bounds where genes are chosen
  const auto rows = static_cast<std::int64_t>(out.indptr.size()) - 1;
  const auto place_of = [&](std::int64_t row) { return static_cast<std::size_t>(begin + row); };
  // Rows are decoded one behind the other: straight into the batch where they keep all they have,
  // else a few at a time, in the cache.
  const bool dense = composes_dense();
  const bool straight = !dense && !tokens && matrix.keeps_all();
  constexpr std::int64_t a_few = 16;
  const std::size_t all = static_cast<std::size_t>(out.nnz()) + PackedRows::slack;
  if (dense) {
    resize_for_reuse(out.dense,
                     static_cast<std::size_t>(rows) * static_cast<std::size_t>(out.n_cols));
  } else if (!tokens) {
    resize_for_reuse(out.indices, all);
    resize_for_reuse(out.values, all);
  }
  constexpr std::size_t in_caches = std::size_t{128} << 10;  // elements: 1 MB of them
  const Landing landing = straight && all > in_caches ? Landing::memory : Landing::caches;

  std::vector<MatrixSource::PackedRow> run;
  std::int32_t end = 0;  // of what the batch has
  for (std::int64_t first = 0; first < rows;) {
    // The next rows of one source; padding has no source and goes with any.
    std::int32_t source = -1;
    std::int64_t stored = 0;
    std::int64_t last = first;
    run.clear();
    for (; last < rows && (straight || last - first < a_few); ++last) {
      const std::int32_t r = work.read_of_place[place_of(last)];
      if (r < 0) continue;
      const WindowWork::Read& read = work.reads[static_cast<std::size_t>(r)];
      if (source >= 0 && read.source != source) break;
      source = read.source;
      run.push_back({of.fetched[static_cast<std::size_t>(r)].get(),
                     work.window.rows[place_of(last)] - data_->rows_of_source(source).begin});
      stored += of.nnz[place_of(last)];
    }
    RowBuffers from = straight ? RowBuffers{out.indices.data() + end, out.values.data() + end}
                               : row_scratch(stored);
    if (!run.empty()) {
      const auto room = static_cast<std::size_t>(stored + PackedRows::slack);
      matrix.source(source).decode_rows(run, {from.columns, room}, {from.values, room}, landing);
    }
    for (std::int64_t row = first; row < last; ++row) {
      const std::int64_t had = of.nnz[place_of(row)];
      const bool is_there = work.read_of_place[place_of(row)] >= 0;
      const auto [nnz, total] = is_there ? finish_row(m, source, from, had) : Finished{};
      if (tokens) {
        const auto count = static_cast<std::size_t>(nnz);
        const auto in_batch = static_cast<std::uint32_t>(row);
        if (is_there) {
          add_tokens(work, place_of(row),
                     {{from.columns, count}, {from.values, count}, total, in_batch}, *tokens);
        }
      } else if (dense) {
        scatter({from.columns, from.values, nnz}, dense_row(out, row));
      } else if (!straight) {
        std::copy_n(from.columns, nnz, out.indices.data() + end);
        std::copy_n(from.values, nnz, out.values.data() + end);
      }
      end += static_cast<std::int32_t>(nnz);
      out.indptr[static_cast<std::size_t>(row) + 1] = end;
      from.columns += had;
      from.values += had;
    }
    first = last;
  }
}

void WindowReader::compose_obsm(WindowWork& work, std::size_t wanted, Batch& batch) const {
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  for (std::size_t k = 0; k < obsm_.size(); ++k) {
    const auto columns = static_cast<std::size_t>(obsm_columns_[k]);
    resize_for_reuse(batch.obsm[k], batch.rows.size() * columns);
    for (std::size_t row = 0; row < batch.rows.size(); ++row) {
      float* const to = batch.obsm[k].data() + row * columns;
      const std::int32_t r = work.read_of_place[static_cast<std::size_t>(begin) + row];
      if (r < 0) {
        std::fill_n(to, columns, 0.0F);
        continue;
      }
      const WindowWork::Read& read = work.reads[static_cast<std::size_t>(r)];
      const std::int64_t in_read =
          batch.rows[row] - data_->rows_of_source(read.source).begin - read.rows.begin;
      std::copy_n(work.obsm[k][static_cast<std::size_t>(r)].data() +
                      static_cast<std::size_t>(in_read) * columns,
                  columns, to);
    }
  }
}

void WindowReader::compose_matrix(WindowWork& work, std::size_t wanted, std::size_t m,
                                  BatchMatrix& out, TokenWriter* tokens) const {
  out.n_cols = matrices_[m]->n_cols();
  if (stays_packed(m)) {
    compose_packed(work, wanted, m, out, tokens);
  } else if (goes_direct(m)) {
    compose_direct(work, wanted, m, out);
  } else {
    compose_staged(work, wanted, m, out);
  }
}

void WindowReader::add_tokens(const WindowWork& work, std::size_t place, TokenInput cell,
                              TokenWriter& tokens) const {
  try {
    tokens.add(cell);
  } catch (const Error& error) {
    const Dataset::Place at = data_->place(work.window.rows[place]);
    throw Error(error.kind(),
                fmt::format("{}: {}, row {}: {}", data_->source(at.source).path().string(),
                            options_.matrices.front(), grouped(at.row), error.what()));
  }
}

void WindowReader::compose_tokens(WindowWork& work, std::size_t wanted, Batch& batch) const {
  const WindowWork::MatrixWork& of = work.matrices.front();
  const std::int64_t begin = work.wanted[wanted].in_window * work.window.batch_size;
  const auto nnz = std::span(of.nnz).subspan(static_cast<std::size_t>(begin), batch.rows.size());
  const std::int32_t most = nnz.empty() ? 0 : *std::max_element(nnz.begin(), nnz.end());
  TokenWriter tokens(*tokenizer_, {options_.seed, work.epoch, batch.global_batch}, batch.n_rows(),
                     most, batch.tokens);
  BatchMatrix& matrix = batch.matrices.front();
  compose_matrix(work, wanted, 0, matrix, &tokens);
  for (std::size_t row = 0; row < batch.rows.size() && !stays_packed(0); ++row) {
    const std::size_t place = static_cast<std::size_t>(begin) + row;
    if (work.read_of_place[place] < 0) continue;
    const auto at = static_cast<std::size_t>(matrix.indptr[row]);
    const auto count = static_cast<std::size_t>(matrix.indptr[row + 1]) - at;
    add_tokens(
        work, place,
        {std::span(matrix.indices).subspan(at, count), std::span(matrix.values).subspan(at, count),
         of.totals.empty() ? 0 : of.totals[place], static_cast<std::uint32_t>(row)},
        tokens);
  }
  tokens.finish();
}

void WindowReader::select_genes(const WindowWork& work, Batch& batch) const {
  const TokenDraws draws(options_.seed, work.epoch, batch.global_batch);
  batch.genes = select_columns(*options_.selection, batch.matrices.front(), draws);
  for (BatchMatrix& matrix : batch.matrices) keep_columns(matrix, batch.genes, options_.layout);
}

std::shared_ptr<Batch> WindowReader::compose(WindowWork& work, std::size_t wanted) const {
  // Where nothing was decoded into it yet, the batch given back last, which is in the caches still.
  std::shared_ptr<Batch> batch = std::move(work.batches[wanted]);
  if (!batch) batch = new_batch();
  const Window& window = work.window;
  const auto first = window.rows.begin() + work.wanted[wanted].in_window * window.batch_size;
  const auto left = window.rows.end() - first;
  batch->rows.assign(first, first + std::min<std::int64_t>(window.batch_size, left));
  batch->global_batch = work.wanted[wanted].global_batch;
  for (std::size_t m = 0; m < matrices_.size(); ++m) {
    if (m == 0 && tokenizer_) {
      compose_tokens(work, wanted, *batch);
    } else {
      compose_matrix(work, wanted, m, batch->matrices[m], nullptr);
    }
  }
  if (options_.selection) select_genes(work, *batch);
  compose_obsm(work, wanted, *batch);
  for (std::size_t c = 0; c < obs_.size(); ++c) {
    Batch::Column& column = batch->obs[c];
    if (obs_[c]->kind() == ObsValues::Kind::numbers) {
      column.integers.clear();
      column.numbers.resize(batch->rows.size());
      obs_[c]->gather(batch->rows, column.numbers);
    } else {
      column.numbers.clear();
      column.integers.resize(batch->rows.size());
      obs_[c]->gather(batch->rows, column.integers);
    }
  }
  rows_handed_out_ += batch->n_rows();
  return batch;
}

}  // namespace cellmill
