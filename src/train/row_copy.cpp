#include "train/row_copy.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/compute/normalise.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

/// Sorts the row and adds up what repeats.
std::int64_t mend_row(const StoredRow& row, std::int32_t n_cols, RowBuffers out) {
  CsrChunk chunk;
  chunk.first_row = row.row;
  chunk.n_cols = n_cols;
  chunk.indptr = {0, row.nnz};
  chunk.indices.assign(out.columns, out.columns + row.nnz);
  chunk.values.assign(out.values, out.values + row.nnz);
  make_canonical(chunk);
  std::copy(chunk.indices.begin(), chunk.indices.end(), out.columns);
  std::copy(chunk.values.begin(), chunk.values.end(), out.values);
  return chunk.nnz();
}

std::span<const std::byte> bytes_of(const std::byte* data, DType dtype, std::int64_t count) {
  return {data, static_cast<std::size_t>(count) * dtype_size(dtype)};
}

/// Columns of 64 bits and of uint32 can be outside what int32 holds: then −1, which is outside too.
void narrow_columns(const StoredRow& row, std::int32_t* out) {
  std::vector<std::int64_t> wide(static_cast<std::size_t>(row.nnz));
  convert_elements<std::int64_t>(row.index_dtype, bytes_of(row.indices, row.index_dtype, row.nnz),
                                 wide);
  std::transform(wide.begin(), wide.end(), out, [](std::int64_t column) {
    return std::in_range<std::int32_t>(column) ? static_cast<std::int32_t>(column) : -1;
  });
}

void copy_columns(const StoredRow& row, std::int32_t* out) {
  if (row.index_dtype == DType::int64 || row.index_dtype == DType::uint64 ||
      row.index_dtype == DType::uint32) {
    narrow_columns(row, out);
  } else {
    convert_elements<std::int32_t>(row.index_dtype, bytes_of(row.indices, row.index_dtype, row.nnz),
                                   std::span(out, static_cast<std::size_t>(row.nnz)));
  }
}

void copy_values(const StoredRow& row, float* out) {
  convert_elements<float>(row.value_dtype, bytes_of(row.values, row.value_dtype, row.nnz),
                          std::span(out, static_cast<std::size_t>(row.nnz)));
}

}  // namespace

std::int64_t copy_row(const StoredRow& row, std::int32_t n_cols, RowBuffers out) {
  copy_columns(row, out.columns);
  copy_values(row, out.values);
  if (is_canonical_row({out.columns, static_cast<std::size_t>(row.nnz)}, n_cols)) return row.nnz;
  return mend_row(row, n_cols, out);
}

RowView view_row(const StoredRow& row, std::int32_t n_cols, RowBuffers room) {
  RowView view{room.columns, room.values, row.nnz};
  if (row.index_dtype == DType::int32) {
    view.columns = reinterpret_cast<const std::int32_t*>(row.indices);
  } else {
    copy_columns(row, room.columns);
  }
  if (!is_canonical_row({view.columns, static_cast<std::size_t>(row.nnz)}, n_cols)) {
    return {room.columns, room.values, copy_row(row, n_cols, room)};
  }
  if (row.value_dtype == DType::float32) {
    view.values = reinterpret_cast<const float*>(row.values);
  } else {
    copy_values(row, room.values);
  }
  return view;
}

std::int64_t keep_slots(RowBuffers row, std::int64_t nnz, std::span<const std::int32_t> slots,
                        bool shuffles) {
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < nnz; ++i) {
    const std::int32_t slot = slots[static_cast<std::size_t>(row.columns[i])];
    row.columns[kept] = slot;
    row.values[kept] = row.values[i];
    kept += slot >= 0 ? 1 : 0;
  }
  if (!shuffles) return kept;
  const auto count = static_cast<std::size_t>(kept);
  std::vector<std::pair<std::int32_t, float>> entries(count);
  for (std::size_t i = 0; i < count; ++i) entries[i] = {row.columns[i], row.values[i]};
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < count; ++i) std::tie(row.columns[i], row.values[i]) = entries[i];
  return kept;
}

double row_total(const float* values, std::int64_t nnz) {
  // Eight sums at a time.
  constexpr std::int64_t lanes = 8;
  std::array<double, lanes> sums{};
  std::int64_t i = 0;
  for (; i + lanes <= nnz; i += lanes) {
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      sums[static_cast<std::size_t>(lane)] += static_cast<double>(values[i + lane]);
    }
  }
  for (; i < nnz; ++i) sums[0] += static_cast<double>(values[i]);
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

double row_factor(const RowTransform& transform, double total) {
  return transform.target_sum && total > 0 ? *transform.target_sum / total : 1;
}

void apply_transform(const RowTransform& transform, double factor, std::span<float> values) {
  if (!transform.any() || values.empty()) return;
  if (!transform.log1p) {
    for (float& value : values) value = static_cast<float>(static_cast<double>(value) * factor);
    return;
  }
  const std::array<std::int64_t, 2> indptr{0, static_cast<std::int64_t>(values.size())};
  normalise_log1p(indptr, values, std::array{factor});
}

}  // namespace cellmill
