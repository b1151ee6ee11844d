#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Consecutive rows (cells) of one matrix in memory, compressed sparse rows.
template <class Value>
struct CsrRows {
  std::int64_t first_row = 0;        ///< in the source's rows
  std::int32_t n_cols = 0;           ///< genes
  std::vector<std::int64_t> indptr;  ///< rows + 1, from 0
  RawVector<std::int32_t> indices;   ///< gene of each non-zero; `resize` does not fill
  RawVector<Value> values;

  [[nodiscard]] std::int64_t n_rows() const {
    return indptr.empty() ? 0 : static_cast<std::int64_t>(indptr.size()) - 1;
  }
  [[nodiscard]] std::int64_t nnz() const { return indptr.empty() ? 0 : indptr.back(); }
  /// Memory, also what is kept for the next use.
  [[nodiscard]] std::int64_t held_bytes() const {
    return static_cast<std::int64_t>(indptr.capacity() * sizeof indptr[0] +
                                     indices.capacity() * sizeof indices[0] +
                                     values.capacity() * sizeof values[0]);
  }
};

/// What flows through a pass. Within a row the columns rise strictly.
using CsrChunk = CsrRows<float>;

}  // namespace cellmill
