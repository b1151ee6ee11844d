#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill {

/// Consecutive rows (cells) of one matrix in memory, compressed sparse rows. What flows through a
/// pass. Within a row the columns (genes) rise strictly.
struct CsrChunk {
  std::int64_t first_row = 0;         ///< in the source's rows
  std::int32_t n_cols = 0;            ///< genes
  std::vector<std::int64_t> indptr;   ///< rows + 1, from 0
  std::vector<std::int32_t> indices;  ///< gene of each non-zero
  std::vector<float> values;

  [[nodiscard]] std::int64_t n_rows() const {
    return indptr.empty() ? 0 : static_cast<std::int64_t>(indptr.size()) - 1;
  }
  [[nodiscard]] std::int64_t nnz() const { return indptr.empty() ? 0 : indptr.back(); }
};

}  // namespace cellmill
