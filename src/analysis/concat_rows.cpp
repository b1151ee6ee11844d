#include "analysis/concat_rows.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/stream/transforms.hpp"

namespace cellmill {
namespace {

constexpr std::int64_t double_bytes = sizeof(double);

std::int64_t value_bytes(DType dtype) { return static_cast<std::int64_t>(dtype_size(dtype)); }

/// Of a row, beside its values: offsets.
constexpr std::int64_t offset_bytes = 2 * sizeof(std::int64_t);

/// Bytes of a row of a dense part: as read and as doubles; its values with their columns where they
/// become sparse.
std::int64_t dense_row_cost(const JoinedMatrix& matrix, const MatrixPart& part) {
  const std::int64_t read = part.n_cols() * (value_bytes(part.dtype()) + double_bytes);
  const std::int64_t sparse =
      part.n_cols() * (double_bytes + static_cast<std::int64_t>(sizeof(std::int32_t)));
  return read + (matrix.sparse ? sparse : 0);
}

/// Bytes of a row of an array in the output.
std::int64_t output_row_cost(const JoinedMatrix& matrix) {
  return matrix.columns->count * (double_bytes + value_bytes(matrix.dtype));
}

std::int64_t row_cost(const JoinedMatrix& matrix, const MatrixPart& part) {
  std::int64_t bytes = offset_bytes + (matrix.sparse ? 0 : output_row_cost(matrix));
  if (part.dense != nullptr) bytes += dense_row_cost(matrix, part);
  if (part.sparse != nullptr) {
    constexpr double a_value = 40;  // encoded, decoded, converted
    const auto rows = static_cast<double>(std::max<std::int64_t>(part.sparse->n_rows(), 1));
    bytes += static_cast<std::int64_t>(a_value * static_cast<double>(part.sparse->nnz()) / rows);
  }
  return bytes;
}

/// A block's rows of a dense part.
std::vector<double> read_dense(const MatrixPart& part, Range rows) {
  const ArrayInfo& info = part.dense->info();
  std::vector<double> values = read_rows<double>(*part.dense, rows);
  with_context(info.location, [&] { check_exact(info.dtype, values); });
  return values;
}

/// What is not zero in a row of a dense part, for the columns that stay.
template <class Found>
void visit_nonzeros(std::span<const double> row, std::span<const std::int32_t> slot,
                    const Found& found) {
  for (std::size_t c = 0; c < row.size(); ++c) {
    if (row[c] != 0 && slot[c] >= 0) found(static_cast<std::int32_t>(c), row[c]);
  }
}

std::span<const double> row_of(const std::vector<double>& values, std::int64_t row,
                               std::int64_t n_cols) {
  return std::span(values).subspan(static_cast<std::size_t>(row * n_cols),
                                   static_cast<std::size_t>(n_cols));
}

}  // namespace

std::vector<CopyBlock> copy_blocks(const JoinedMatrix& matrix, const SegmentPlan& plan,
                                   std::int64_t bytes) {
  std::vector<CopyBlock> blocks;
  for (std::size_t source = 0; source < matrix.parts.size(); ++source) {
    const Range part = part_of_source(plan, source);
    if (part.empty()) continue;
    const Range rows = rows_of(plan.segments, part);
    const MatrixPart& of_source = matrix.parts[source];
    std::int64_t step = std::max<std::int64_t>(bytes / row_cost(matrix, of_source), 1);
    if (of_source.dense != nullptr) {
      constexpr std::int64_t longer = 4;
      const std::int64_t chunk = std::max<std::int64_t>(of_source.dense->info().chunk_shape[0], 1);
      if (chunk <= step * longer) step = std::max<std::int64_t>(step / chunk, 1) * chunk;
    }
    for (std::int64_t begin = rows.begin; begin < rows.end;) {
      const std::int64_t end = std::min((begin / step + 1) * step, rows.end);
      blocks.push_back({source, {begin, end}});
      begin = end;
    }
  }
  return blocks;
}

std::int64_t block_cost(const JoinedMatrix& matrix, const CopyBlock& block) {
  const MatrixPart& part = matrix.parts[block.source];
  if (part.sparse == nullptr) return block.rows.size() * row_cost(matrix, part);
  const std::vector<std::int64_t> offsets = part.sparse->indptr(block.rows);
  const std::int64_t nnz = offsets.back() - offsets.front();
  const MatrixSource::Cost cost = part.sparse->cost(block.rows, nnz);
  // Beside what decoding to float32 takes: the other half of a double, and the output's values.
  return cost.encoded + cost.decoded +
         nnz *
             (double_bytes - static_cast<std::int64_t>(sizeof(float)) + value_bytes(matrix.dtype)) +
         block.rows.size() * offset_bytes;
}

CsrRows<double> sparse_rows(const JoinedMatrix& matrix, const CopyBlock& block,
                            const FetchedRows& fetched) {
  const MatrixPart& part = matrix.parts[block.source];
  const auto& slot = matrix.columns->slot[block.source];
  CsrRows<double> rows;
  if (part.sparse != nullptr) {
    part.sparse->decode_stored(fetched, rows);
  } else {
    rows.first_row = block.rows.begin;
    rows.indptr.assign(static_cast<std::size_t>(block.rows.size()) + 1, 0);
    if (part.is_missing()) return rows;
    const std::vector<double> dense = read_dense(part, block.rows);
    for (std::int64_t row = 0; row < block.rows.size(); ++row) {
      visit_nonzeros(row_of(dense, row, part.n_cols()), slot,
                     [&](std::int32_t column, double value) {
                       rows.indices.push_back(column);
                       rows.values.push_back(value);
                     });
      rows.indptr[static_cast<std::size_t>(row) + 1] =
          static_cast<std::int64_t>(rows.values.size());
    }
  }
  select_columns(rows, slot, matrix.columns->count);
  return rows;
}

std::int64_t count_rows(const JoinedMatrix& matrix, const CopyBlock& block) {
  const MatrixPart& part = matrix.parts[block.source];
  if (part.is_missing()) return 0;
  const auto& slot = matrix.columns->slot[block.source];
  std::int64_t count = 0;
  if (part.dense != nullptr) {
    const std::vector<double> dense = read_dense(part, block.rows);
    for (std::int64_t row = 0; row < block.rows.size(); ++row) {
      visit_nonzeros(row_of(dense, row, part.n_cols()), slot,
                     [&](std::int32_t, double) { ++count; });
    }
    return count;
  }
  const bool all = std::all_of(slot.begin(), slot.end(), [](auto to) { return to >= 0; });
  if (all) {
    const std::vector<std::int64_t> offsets = part.sparse->indptr(block.rows);
    return offsets.back() - offsets.front();
  }
  for (const std::int32_t column : part.sparse->columns(block.rows)) {
    count += slot[static_cast<std::size_t>(column)] >= 0 ? 1 : 0;
  }
  return count;
}

RawVector<std::byte> dense_rows(const JoinedMatrix& matrix, const CopyBlock& block) {
  const MatrixPart& part = matrix.parts[block.source];
  const auto& slot = matrix.columns->slot[block.source];
  const std::int64_t n_cols = matrix.columns->count;
  std::vector<double> values(static_cast<std::size_t>(block.rows.size() * n_cols),
                             std::numeric_limits<double>::quiet_NaN());
  if (!part.is_missing()) {
    const std::vector<double> dense = read_dense(part, block.rows);
    for (std::int64_t row = 0; row < block.rows.size(); ++row) {
      const std::span<const double> from = row_of(dense, row, part.n_cols());
      double* to = values.data() + row * n_cols;
      for (std::size_t c = 0; c < from.size(); ++c) {
        if (slot[c] >= 0) to[slot[c]] = from[c];
      }
    }
  }
  RawVector<std::byte> elements(values.size() * dtype_size(matrix.dtype));
  convert_elements(values, matrix.dtype, elements);
  return elements;
}

}  // namespace cellmill
