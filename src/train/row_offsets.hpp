#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// Where each row of a matrix begins, in two bytes a row: random order asks for it at every block,
/// and the offsets of 100 million rows would take 800 MB in each process.
class RowOffsets {
 public:
  /// Reads all offsets. The matrix holds rows, or was prepared.
  RowOffsets(const MatrixSource& matrix, Arena& arena);

  /// Offsets of rows [range.begin … range.end], as MatrixSource::indptr gives them.
  [[nodiscard]] std::vector<std::int64_t> offsets(Range rows) const;
  [[nodiscard]] std::int64_t nnz(std::int64_t row) const;
  [[nodiscard]] std::int64_t bytes() const;

 private:
  static constexpr std::int64_t group_rows = 64;

  std::vector<std::uint16_t> nnz_;   ///< of each row; 65,535: see long_rows_
  std::vector<std::int64_t> group_;  ///< offset of every 64th row
  std::vector<std::pair<std::int64_t, std::int64_t>> long_rows_;  ///< (row, nnz), rising
};

}  // namespace cellmill
