#include "cellmill/anndata/csr_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/core/clones.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

using Entry = std::pair<std::int32_t, float>;

/// The row's entries by column, each column once.
void mend(std::vector<Entry>& entries) {
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.first < b.first; });
  std::size_t kept = 0;
  for (const Entry& entry : entries) {
    if (kept > 0 && entries[kept - 1].first == entry.first) {
      entries[kept - 1].second += entry.second;
    } else {
      entries[kept++] = entry;
    }
  }
  entries.resize(kept);
}

}  // namespace

CELLMILL_CLONES
bool is_canonical_row(std::span<const std::int32_t> columns, std::int32_t n_cols) {
  if (columns.empty()) return true;
  std::uint32_t falls = 0;
  for (std::size_t k = 1; k < columns.size(); ++k) {
    falls |= static_cast<std::uint32_t>(columns[k - 1] >= columns[k]);
  }
  return falls == 0 && columns.front() >= 0 && columns.back() < n_cols;
}

void check_columns(std::span<const std::int64_t> indptr, std::span<const std::int32_t> columns,
                   std::int64_t first_row, std::int32_t n_cols) {
  const auto outside = [&](std::int32_t column) { return column < 0 || column >= n_cols; };
  const auto found = std::find_if(columns.begin(), columns.end(), outside);
  if (found == columns.end()) return;
  const auto after = std::upper_bound(indptr.begin(), indptr.end(), found - columns.begin());
  throw input_error(fmt::format("row {}: column {} found, expected 0 to {}",
                                grouped(first_row + (after - indptr.begin()) - 1), *found,
                                n_cols - 1));
}

std::vector<std::int32_t> stored_columns(const StoredRow& row, std::int32_t n_cols) {
  std::vector<std::int64_t> wide(static_cast<std::size_t>(row.nnz));
  convert_elements<std::int64_t>(row.index_dtype,
                                 {row.indices, wide.size() * dtype_size(row.index_dtype)}, wide);
  std::vector<std::int32_t> columns;
  columns.reserve(wide.size());
  for (const std::int64_t column : wide) {
    if (column < 0 || column >= n_cols) {
      throw input_error(fmt::format("row {}: column {} found, expected 0 to {}", grouped(row.row),
                                    column, n_cols - 1));
    }
    columns.push_back(static_cast<std::int32_t>(column));
  }
  return columns;
}

void check_exact(DType dtype, std::span<const double> values) {
  if (dtype != DType::int64 && dtype != DType::uint64) return;
  constexpr double limit = 9007199254740992.0;  // 2^53: from there on neighbours share a float64
  for (const double value : values) {
    if (std::abs(value) < limit) continue;
    throw input_error(
        fmt::format("a value of about {} found; whole numbers from 2^53 on are not copied", value));
  }
}

void CanonicalCheck::decoded(std::int64_t columns) {
  while (canonical_ && row_ < chunk_.n_rows()) {
    const std::int64_t begin = chunk_.indptr[static_cast<std::size_t>(row_)];
    const std::int64_t end = chunk_.indptr[static_cast<std::size_t>(row_) + 1];
    if (end > columns) return;
    canonical_ = is_canonical_row(
        std::span(chunk_.indices)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
        chunk_.n_cols);
    ++row_;
  }
}

void make_canonical(CsrChunk& chunk) {
  std::vector<Entry> entries;
  std::size_t to = 0;  // where the row goes: rows move down once duplicates were added up
  std::int64_t begin = 0;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::int64_t end = chunk.indptr[static_cast<std::size_t>(row) + 1];
    const auto from = static_cast<std::size_t>(begin);
    const auto count = static_cast<std::size_t>(end - begin);
    const auto columns = std::span(chunk.indices).subspan(from, count);
    if (is_canonical_row(columns, chunk.n_cols)) {
      if (to != from) {
        std::copy_n(chunk.indices.data() + from, count, chunk.indices.data() + to);
        std::copy_n(chunk.values.data() + from, count, chunk.values.data() + to);
      }
      to += count;
    } else {
      const std::array<std::int64_t, 2> all{0, end - begin};
      check_columns(all, columns, chunk.first_row + row, chunk.n_cols);
      entries.clear();
      for (std::size_t k = from; k < from + count; ++k) {
        entries.emplace_back(chunk.indices[k], chunk.values[k]);
      }
      mend(entries);
      for (const Entry& entry : entries) {
        chunk.indices[to] = entry.first;
        chunk.values[to++] = entry.second;
      }
    }
    begin = end;
    chunk.indptr[static_cast<std::size_t>(row) + 1] = static_cast<std::int64_t>(to);
  }
  chunk.indices.resize(to);
  chunk.values.resize(to);
}

}  // namespace cellmill
