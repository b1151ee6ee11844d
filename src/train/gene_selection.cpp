#include "train/gene_selection.hpp"

#include <algorithm>
#include <numeric>

namespace cellmill {
namespace {

/// The first `count` by `before`, rising.
template <class Before>
std::vector<std::int64_t> first_of(std::vector<std::int64_t> columns, std::int64_t count,
                                   Before before) {
  if (count < static_cast<std::int64_t>(columns.size())) {
    std::nth_element(columns.begin(), columns.begin() + count, columns.end(), before);
    columns.resize(static_cast<std::size_t>(count));
  }
  std::sort(columns.begin(), columns.end());
  return columns;
}

std::vector<std::int64_t> most_expressed(const BatchMatrix& rows, std::int64_t count) {
  std::vector<double> sums(static_cast<std::size_t>(rows.n_cols), 0);
  for (std::size_t k = 0; k < static_cast<std::size_t>(rows.nnz()); ++k) {
    sums[static_cast<std::size_t>(rows.indices[k])] += static_cast<double>(rows.values[k]);
  }
  std::vector<std::int64_t> columns(sums.size());
  std::iota(columns.begin(), columns.end(), 0);
  return first_of(std::move(columns), count, [&](std::int64_t a, std::int64_t b) {
    const double of_a = sums[static_cast<std::size_t>(a)];
    const double of_b = sums[static_cast<std::size_t>(b)];
    return of_a != of_b ? of_a > of_b : a < b;
  });
}

std::vector<std::int64_t> random_expressed(const BatchMatrix& rows, std::int64_t count,
                                           const TokenDraws& draws) {
  std::vector<bool> expressed(static_cast<std::size_t>(rows.n_cols), false);
  for (std::size_t k = 0; k < static_cast<std::size_t>(rows.nnz()); ++k) {
    if (rows.values[k] != 0) expressed[static_cast<std::size_t>(rows.indices[k])] = true;
  }
  std::vector<std::int64_t> columns;
  std::vector<std::uint64_t> draw(expressed.size());
  for (std::size_t column = 0; column < expressed.size(); ++column) {
    if (!expressed[column]) continue;
    columns.push_back(static_cast<std::int64_t>(column));
    draw[column] = draws.bits(0, static_cast<std::int32_t>(column));
  }
  return first_of(std::move(columns), count, [&](std::int64_t a, std::int64_t b) {
    const std::uint64_t of_a = draw[static_cast<std::size_t>(a)];
    const std::uint64_t of_b = draw[static_cast<std::size_t>(b)];
    return of_a != of_b ? of_a < of_b : a < b;
  });
}

}  // namespace

std::vector<std::int64_t> select_columns(const GeneSelection& selection, const BatchMatrix& rows,
                                         const TokenDraws& draws) {
  return selection.kind == GeneSelection::Kind::most_expressed
             ? most_expressed(rows, selection.count)
             : random_expressed(rows, selection.count, draws);
}

void keep_columns(BatchMatrix& matrix, std::span<const std::int64_t> columns, BatchLayout layout) {
  std::vector<std::int32_t> slots(static_cast<std::size_t>(matrix.n_cols), -1);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    slots[static_cast<std::size_t>(columns[i])] = static_cast<std::int32_t>(i);
  }
  const std::size_t rows = matrix.indptr.empty() ? 0 : matrix.indptr.size() - 1;
  const bool dense = layout == BatchLayout::dense;
  if (dense) {
    resize_for_reuse(matrix.dense, rows * columns.size());
    std::fill(matrix.dense.begin(), matrix.dense.end(), 0.0F);
  }
  std::int32_t kept = 0;
  std::int32_t begin = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    const std::int32_t end = matrix.indptr[row + 1];
    for (auto k = static_cast<std::size_t>(begin); k < static_cast<std::size_t>(end); ++k) {
      const std::int32_t slot = slots[static_cast<std::size_t>(matrix.indices[k])];
      if (slot < 0) continue;
      if (dense) {
        matrix.dense[row * columns.size() + static_cast<std::size_t>(slot)] = matrix.values[k];
      } else {
        matrix.indices[static_cast<std::size_t>(kept)] = slot;
        matrix.values[static_cast<std::size_t>(kept)] = matrix.values[k];
        ++kept;
      }
    }
    begin = end;
    matrix.indptr[row + 1] = kept;
  }
  matrix.n_cols = static_cast<std::int32_t>(columns.size());
}

}  // namespace cellmill
