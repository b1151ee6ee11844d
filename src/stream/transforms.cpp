#include "cellmill/stream/transforms.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>
#include <vector>

namespace cellmill {

namespace {

template <class Value>
void sort_by_comparing(std::span<std::int32_t> columns, std::span<Value> values) {
  thread_local std::vector<std::pair<std::int32_t, Value>> entries;
  entries.clear();
  for (std::size_t k = 0; k < columns.size(); ++k) entries.emplace_back(columns[k], values[k]);
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t k = 0; k < columns.size(); ++k) {
    columns[k] = entries[k].first;
    values[k] = entries[k].second;
  }
}

/// Sorts a row by marking its columns in a bit map and walking over that: several times as quick as
/// comparing where a row has more than a few entries. \returns false, nothing done, where it has
/// too few for that, or columns that repeat
template <class Value>
bool sort_by_bits(std::span<std::int32_t> columns, std::span<Value> values, std::int32_t n_cols) {
  constexpr std::size_t columns_an_entry = 4096;
  const auto all = static_cast<std::size_t>(n_cols);
  if (all > columns.size() * columns_an_entry) return false;
  thread_local std::vector<std::uint64_t> marks;  // all zero between calls
  thread_local std::vector<Value> value_of;
  if (value_of.size() < all) value_of.resize(all);
  if (marks.size() < all / 64 + 1) marks.resize(all / 64 + 1);

  std::size_t first = marks.size();
  std::size_t last = 0;
  std::size_t marked = 0;
  for (; marked < columns.size(); ++marked) {
    const auto column = static_cast<std::size_t>(columns[marked]);
    const std::uint64_t bit = std::uint64_t{1} << (column % 64);
    if ((marks[column / 64] & bit) != 0) break;
    marks[column / 64] |= bit;
    value_of[column] = values[marked];
    first = std::min(first, column / 64);
    last = std::max(last, column / 64);
  }
  const bool repeats = marked < columns.size();
  std::size_t k = 0;
  for (std::size_t word = first; word <= last; ++word) {
    for (std::uint64_t bits = std::exchange(marks[word], 0); bits != 0 && !repeats;
         bits &= bits - 1) {
      const std::size_t column = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
      columns[k] = static_cast<std::int32_t>(column);
      values[k++] = value_of[column];
    }
  }
  return !repeats;
}

}  // namespace

void select_rows(CsrChunk& chunk, const std::vector<bool>& keep) {
  std::int64_t kept_rows = 0;
  std::int64_t kept_nnz = 0;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    const std::int64_t begin = chunk.indptr[at];
    const std::int64_t end = chunk.indptr[at + 1];
    if (!keep[at]) continue;
    if (begin != kept_nnz) {
      std::copy(chunk.indices.begin() + begin, chunk.indices.begin() + end,
                chunk.indices.begin() + kept_nnz);
      std::copy(chunk.values.begin() + begin, chunk.values.begin() + end,
                chunk.values.begin() + kept_nnz);
    }
    chunk.indptr[static_cast<std::size_t>(kept_rows++)] = kept_nnz;
    kept_nnz += end - begin;
  }
  chunk.indptr.resize(static_cast<std::size_t>(kept_rows) + 1);
  chunk.indptr.back() = kept_nnz;
  chunk.indices.resize(static_cast<std::size_t>(kept_nnz));
  chunk.values.resize(static_cast<std::size_t>(kept_nnz));
}

template <class Value>
void select_columns(CsrRows<Value>& chunk, std::span<const std::int32_t> slot,
                    std::int32_t n_slots) {
  std::int64_t kept = 0;
  std::int64_t begin = 0;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::int64_t end = chunk.indptr[static_cast<std::size_t>(row) + 1];
    for (std::int64_t k = begin; k < end; ++k) {
      const std::int32_t to =
          slot[static_cast<std::size_t>(chunk.indices[static_cast<std::size_t>(k)])];
      // Written always, counted only if kept: no branch to mispredict. kept never passes k.
      chunk.indices[static_cast<std::size_t>(kept)] = to;
      chunk.values[static_cast<std::size_t>(kept)] = chunk.values[static_cast<std::size_t>(k)];
      kept += to >= 0 ? 1 : 0;
    }
    begin = end;
    chunk.indptr[static_cast<std::size_t>(row) + 1] = kept;
  }
  chunk.indices.resize(static_cast<std::size_t>(kept));
  chunk.values.resize(static_cast<std::size_t>(kept));
  chunk.n_cols = n_slots;
  sort_rows(chunk);
}

template <class Value>
void sort_rows(CsrRows<Value>& chunk) {
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const auto begin = static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(row)]);
    const auto end = static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(row) + 1]);
    const auto columns = std::span(chunk.indices).subspan(begin, end - begin);
    if (std::is_sorted(columns.begin(), columns.end())) continue;
    const auto values = std::span(chunk.values).subspan(begin, end - begin);
    if (!sort_by_bits(columns, values, chunk.n_cols)) sort_by_comparing(columns, values);
  }
}

template void select_columns<float>(CsrRows<float>&, std::span<const std::int32_t>, std::int32_t);
template void select_columns<double>(CsrRows<double>&, std::span<const std::int32_t>, std::int32_t);
template void sort_rows<float>(CsrRows<float>&);
template void sort_rows<double>(CsrRows<double>&);

}  // namespace cellmill
