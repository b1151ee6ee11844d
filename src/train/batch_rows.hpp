#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "cellmill/storage/packed_rows.hpp"
#include "cellmill/train/batch.hpp"
#include "train/row_copy.hpp"

namespace cellmill {

/// Room for one row of any source, kept by the thread.
inline RowBuffers row_scratch(std::int64_t nnz) {
  thread_local RawVector<std::int32_t> columns;
  thread_local RawVector<float> values;
  const auto room = static_cast<std::size_t>(nnz + PackedRows::slack);
  if (columns.size() < room) {
    columns.resize(room);
    values.resize(room);
  }
  return {columns.data(), values.data()};
}

/// Writes a row among zeros.
inline void scatter(RowView row, std::span<float> dense) {
  std::fill(dense.begin(), dense.end(), 0.0F);
  for (std::int64_t i = 0; i < row.nnz; ++i) {
    dense[static_cast<std::size_t>(row.columns[i])] = row.values[i];
  }
}

/// A row of a dense matrix.
inline std::span<float> dense_row(BatchMatrix& matrix, std::int64_t row) {
  const auto columns = static_cast<std::size_t>(matrix.n_cols);
  return std::span(matrix.dense).subspan(static_cast<std::size_t>(row) * columns, columns);
}

}  // namespace cellmill
