#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// How a batch holds a matrix.
enum class BatchLayout { csr, dense };

/// Rows of a matrix in a batch. CSR: both kinds of indices are int32, as torch and scipy want them
/// alike; columns rise within a row. Dense: rows × columns, C order.
struct BatchMatrix {
  std::int32_t n_cols = 0;
  RawVector<std::int32_t> indptr;  ///< rows + 1
  RawVector<std::int32_t> indices;
  RawVector<float> values;  ///< CSR; `indices` and `values` may have room after the last value
  RawVector<float> dense;

  [[nodiscard]] std::int64_t nnz() const { return indptr.empty() ? 0 : indptr.back(); }
};

/// Cells as tokens (tokenizer.hpp): rows × length, C order, padded to the longest cell.
struct BatchTokens {
  std::int64_t length = 0;
  std::vector<std::int32_t> lengths;       ///< of each cell
  RawVector<std::int64_t> ids;             ///< this and the others may have room after the last row
  RawVector<float> values;                 ///< empty if the tokenizer has none
  RawVector<float> masked_values;          ///< the same, those that are masked replaced; or empty
  RawVector<std::uint8_t> attention_mask;  ///< 1: a token, 0: padding
};

/// Cells handed out together. Its buffers go back to the pool they came from when the last owner
/// lets go of it.
struct Batch {
  std::int64_t global_batch = 0;       ///< of the epoch
  std::vector<std::int64_t> rows;      ///< of the data set; −1: padding, an empty row
  std::vector<BatchMatrix> matrices;   ///< as ReadOptions::matrices; the first one unless tokens
  BatchTokens tokens;                  ///< of the first matrix, if ReadOptions::tokens
  std::vector<std::int64_t> genes;     ///< columns that ReadOptions::selection left, rising
  std::vector<RawVector<float>> obsm;  ///< as ReadOptions::obsm: rows × its columns
  /// As ReadOptions::obs: one of the two is filled.
  struct Column {
    std::vector<std::int64_t> integers;  ///< codes or integers; −1: missing
    std::vector<double> numbers;         ///< NaN: missing
  };
  std::vector<Column> obs;

  [[nodiscard]] std::int64_t n_rows() const { return static_cast<std::int64_t>(rows.size()); }
};

}  // namespace cellmill
