#pragma once

#include <cstdint>
#include <span>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/train/loader.hpp"

namespace cellmill {

// From a row as the disk holds it to a row of a batch. Bound by reading the row out of the cache
// and writing 8 bytes a value.
// ------------------------------------------------------------------------------------------------

/// Columns and values of one row in memory, in the types of a batch.
struct RowBuffers {
  std::int32_t* columns = nullptr;
  float* values = nullptr;
};

/// Converts a row into `out`, which has room for it. Rows that are not canonical are sorted,
/// repeated columns added up. \returns the number of values. \throws Error(input) for a column
/// outside [0, n_cols)
std::int64_t copy_row(const StoredRow& row, std::int32_t n_cols, RowBuffers out);

/// A row in the types of a batch, where the disk's own types are those.
struct RowView {
  const std::int32_t* columns = nullptr;
  const float* values = nullptr;
  std::int64_t nnz = 0;
};

/// The row as copy_row makes it; what need not be converted stays where it is, the rest goes to
/// `room`. \throws Error(input) for a column outside [0, n_cols)
[[nodiscard]] RowView view_row(const StoredRow& row, std::int32_t n_cols, RowBuffers room);

/// Keeps the columns that have a slot, as their slots, in place; sorted if `shuffles`.
/// \returns the number that is left
std::int64_t keep_slots(RowBuffers row, std::int64_t nnz, std::span<const std::int32_t> slots,
                        bool shuffles);

/// The sum of a row's values, in an order that does not depend on the machine.
[[nodiscard]] double row_total(const float* values, std::int64_t nnz);
/// The transform's factor of a row with this total.
[[nodiscard]] double row_factor(const RowTransform& transform, double total);
void apply_transform(const RowTransform& transform, double factor, std::span<float> values);

}  // namespace cellmill
