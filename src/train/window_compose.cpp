#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "train/batch_rows.hpp"
#include "train/gene_selection.hpp"
#include "train/window_reader.hpp"

// Of a window's stages the last: batches of rows that are decoded (of packed ones:
// window_packed.cpp).

namespace cellmill {

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
