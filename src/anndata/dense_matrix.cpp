#include "anndata/dense_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "anndata/sorted_matrix.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

class DenseMatrix final : public SortedMatrix {
 public:
  explicit DenseMatrix(std::unique_ptr<Array> array)
      : SortedMatrix(array->info().location, array->info().shape[0],
                     static_cast<std::int32_t>(array->info().shape[1])),
        array_(std::move(array)) {}

  [[nodiscard]] std::string encoding() const override { return "array"; }
  [[nodiscard]] DType dtype() const override { return array_->info().dtype; }
  /// Every element is stored.
  [[nodiscard]] std::int64_t nnz() const override { return element_count(array_->info()); }

 private:
  /// Counts are mostly zeros; where they aren't, sorting takes more memory, but no more than a
  /// few times as much.
  [[nodiscard]] double expected_row_nnz() const override {
    constexpr double density = 0.2;
    return density * n_cols();
  }

  [[nodiscard]] std::int64_t stored_bytes() const override {
    return estimate_stored_bytes(*array_);
  }

  template <class Value>
  struct Entry {
    std::int64_t row;
    std::int32_t column;
    Value value;
  };

  /// What is not zero in one chunk, of these rows.
  template <class Value>
  [[nodiscard]] std::vector<Entry<Value>> nonzeros(std::int64_t chunk, Range rows) const {
    const ArrayInfo& info = array_->info();
    thread_local RawVector<std::byte> decoded;
    thread_local RawVector<Value> values;
    const auto elements = static_cast<std::size_t>(chunk_elements(info));
    decoded.resize(elements * dtype_size(info.dtype));
    values.resize(elements);
    array_->decode(array_->fetch(chunk), decoded);
    convert_elements<Value>(info.dtype, decoded, values);

    const std::int64_t chunks_a_row =
        (info.shape[1] + info.chunk_shape[1] - 1) / info.chunk_shape[1];
    const std::int64_t first_row = chunk / chunks_a_row * info.chunk_shape[0];
    const std::int64_t first_column = chunk % chunks_a_row * info.chunk_shape[1];
    const std::int64_t columns = std::min(info.chunk_shape[1], info.shape[1] - first_column);
    std::vector<Entry<Value>> found;
    for (std::int64_t row = std::max(first_row, rows.begin);
         row < std::min(first_row + info.chunk_shape[0], rows.end); ++row) {
      const Value* of_row = values.data() + (row - first_row) * info.chunk_shape[1];
      for (std::int64_t c = 0; c < columns; ++c) {
        if (of_row[c] != 0) {
          found.push_back(
              {row - rows.begin, static_cast<std::int32_t>(first_column + c), of_row[c]});
        }
      }
    }
    return found;
  }

  void add_rows(Range rows, Arena& arena, BasicRowSorter<float>& sorter) const override {
    add_values(rows, arena, sorter);
  }
  void add_rows(Range rows, Arena& arena, BasicRowSorter<double>& sorter) const override {
    add_values(rows, arena, sorter);
  }

  template <class Value>
  void add_values(Range rows, Arena& arena, BasicRowSorter<Value>& sorter) const {
    const ArrayInfo& info = array_->info();
    if (info.shape[1] == 0) return;
    const std::int64_t chunks_a_row =
        (info.shape[1] + info.chunk_shape[1] - 1) / info.chunk_shape[1];
    const std::int64_t begin = rows.begin / info.chunk_shape[0] * chunks_a_row;
    const std::int64_t end = ((rows.end - 1) / info.chunk_shape[0] + 1) * chunks_a_row;
    const std::int64_t together = std::int64_t{2} * arena.threads();
    std::vector<std::vector<Entry<Value>>> found(static_cast<std::size_t>(together));
    for (std::int64_t first = begin; first < end; first += together) {
      const std::int64_t count = std::min(together, end - first);
      arena.for_each(count, [&](std::int64_t i) {
        found[static_cast<std::size_t>(i)] = nonzeros<Value>(first + i, rows);
      });
      // In the chunks' order, so that a row's columns rise.
      for (std::int64_t i = 0; i < count; ++i) {
        for (const Entry<Value>& entry : found[static_cast<std::size_t>(i)]) {
          sorter.add(entry.row, entry.column, entry.value);
        }
      }
    }
  }

  std::unique_ptr<Array> array_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_dense_matrix(std::unique_ptr<Array> array) {
  const ArrayInfo& info = array->info();
  if (info.shape.size() != 2) {
    throw input_error(
        fmt::format("{}: has {} dimensions, expected 2", info.location, info.shape.size()));
  }
  if (info.dtype == DType::string) {
    throw input_error(info.location + ": holds strings, expected numbers");
  }
  if (info.shape[1] > std::numeric_limits<std::int32_t>::max()) {
    throw input_error(fmt::format("{}: {} columns found, expected at most 2^31 − 1", info.location,
                                  info.shape[1]));
  }
  return std::make_unique<DenseMatrix>(std::move(array));
}

}  // namespace cellmill
