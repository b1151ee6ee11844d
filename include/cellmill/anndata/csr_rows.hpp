#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/storage/dtype.hpp"

namespace cellmill {

struct StoredRow;

/// Whether the columns of one row rise strictly and lie in [0, n_cols): nothing to mend. One sweep
/// that compilers turn into vector code; bound by reading the indices.
[[nodiscard]] bool is_canonical_row(std::span<const std::int32_t> columns, std::int32_t n_cols);

/// Makes every row canonical: columns sorted, values of the same column added up in the order in
/// which they were stored, as scipy does. Rows that are canonical cost one sweep.
/// \throws Error(input) for a column outside [0, n_cols), naming the row
void make_canonical(CsrChunk& chunk);

/// What holds also for rows that need not be canonical. \param indptr of these rows, from 0
/// \throws Error(input) for a column outside [0, n_cols), naming the row
void check_columns(std::span<const std::int64_t> indptr, std::span<const std::int32_t> columns,
                   std::int64_t first_row, std::int32_t n_cols);

/// The columns of a row as the disk holds it, in its order.
/// \throws Error(input) for a column outside [0, n_cols), naming the row
[[nodiscard]] std::vector<std::int32_t> stored_columns(const StoredRow& row, std::int32_t n_cols);

/// \param dtype of the array that the values were read from
/// \throws Error(input) if that can hold whole numbers that float64 can't, and one may be among
/// them
void check_exact(DType dtype, std::span<const double> values);

/// Whether rows are canonical, found out while they are decoded and still in the cache.
class CanonicalCheck {
 public:
  /// \param chunk whose columns are decoded in order; indptr is all there
  explicit CanonicalCheck(const CsrChunk& chunk) : chunk_(chunk) {}
  /// Looks at the rows that ended since the last call, now that so many columns are decoded.
  void decoded(std::int64_t columns);
  /// Of the rows so far.
  [[nodiscard]] bool all_canonical() const { return canonical_; }

 private:
  const CsrChunk& chunk_;
  std::int64_t row_ = 0;  ///< the first that was not looked at
  bool canonical_ = true;
};

}  // namespace cellmill
