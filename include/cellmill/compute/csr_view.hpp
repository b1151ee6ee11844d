#pragma once

#include <cstdint>
#include <span>

namespace cellmill {

/// Some rows of a sparse matrix in someone else's memory; columns rise within a row.
struct CsrView {
  std::span<const std::int64_t> indptr;   ///< rows + 1; need not start at 0
  std::span<const std::int32_t> indices;  ///< indexed by indptr's values less indptr[0]
  std::span<const float> values;
  std::int32_t n_cols = 0;

  [[nodiscard]] std::int64_t n_rows() const {
    return indptr.empty() ? 0 : static_cast<std::int64_t>(indptr.size()) - 1;
  }
  [[nodiscard]] std::int64_t nnz() const {
    return n_rows() == 0 ? 0 : indptr.back() - indptr.front();
  }
};

}  // namespace cellmill
