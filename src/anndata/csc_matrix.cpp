#include "anndata/csc_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "anndata/sorted_matrix.hpp"
#include "anndata/sparse_arrays.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

class CscMatrix final : public SortedMatrix {
 public:
  CscMatrix(const Group& group, SparseShape shape)
      : SortedMatrix(group.location(), shape.rows, shape.cols),
        data_(open_sparse_vector(group, "data")),
        indices_(open_sparse_vector(group, "indices")),
        indptr_(open_sparse_vector(group, "indptr")) {
    if (shape.rows > std::numeric_limits<std::int32_t>::max()) {
      throw input_error(fmt::format("{}: {} rows found, expected at most 2^31 − 1 of a csc_matrix",
                                    group.location(), grouped(shape.rows)));
    }
    expect_elements(*indptr_, std::int64_t{shape.cols} + 1, "one more than columns");
    expect_elements(*indices_, nnz(), "as many as data");
  }

  [[nodiscard]] std::string encoding() const override { return "csc_matrix"; }
  [[nodiscard]] DType dtype() const override { return data_->info().dtype; }
  [[nodiscard]] std::int64_t nnz() const override { return element_count(data_->info()); }

 private:
  [[nodiscard]] double expected_row_nnz() const override {
    return n_rows() == 0 ? 0 : static_cast<double>(nnz()) / static_cast<double>(n_rows());
  }

  [[nodiscard]] std::int64_t stored_bytes() const override {
    return estimate_stored_bytes(*data_) + estimate_stored_bytes(*indices_);
  }

  /// \throws Error(input) if the offsets fall or leave the matrix
  [[nodiscard]] std::vector<std::int64_t> column_offsets() const {
    std::vector<std::int64_t> offsets =
        read_range<std::int64_t>(*indptr_, {0, std::int64_t{n_cols()} + 1});
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const std::int64_t least = i == 0 ? 0 : offsets[i - 1];
      const std::int64_t most = i == 0 ? 0 : nnz();
      const bool last = i + 1 == offsets.size();
      if (offsets[i] >= least && offsets[i] <= most && (!last || offsets[i] == nnz())) continue;
      throw input_error(fmt::format("{}: column {}: offset {} found, expected {} to {}",
                                    indptr_->info().location, i, grouped(offsets[i]),
                                    grouped(last ? nnz() : least), grouped(most)));
    }
    return offsets;
  }

  void add_rows(Range rows, Arena& arena, BasicRowSorter<float>& sorter) const override {
    add_values(rows, arena, sorter);
  }
  void add_rows(Range rows, Arena& arena, BasicRowSorter<double>& sorter) const override {
    add_values(rows, arena, sorter);
  }

  template <class Value>
  void add_values(Range rows, Arena& arena, BasicRowSorter<Value>& sorter) const {
    constexpr std::int64_t elements_at_once = std::int64_t{1} << 20;  // 8 bytes each, decoded
    const std::vector<std::int64_t> offsets = column_offsets();
    RawVector<std::int32_t> row;
    RawVector<Value> value;
    std::int32_t column = 0;
    for (std::int64_t begin = 0; begin < nnz(); begin += elements_at_once) {
      const Range part{begin, std::min(begin + elements_at_once, nnz())};
      const FetchedRange indices = fetch_range(*indices_, part);
      const FetchedRange values = fetch_range(*data_, part);
      row.resize(static_cast<std::size_t>(part.size()));
      value.resize(row.size());
      const std::int64_t pieces = arena.threads();
      arena.for_each(2 * pieces, [&](std::int64_t i) {
        if (i % 2 == 0) {
          decode_indices(*indices_, indices, row, i / 2, pieces);
        } else {
          decode_range<Value>(*data_, values, value, i / 2, pieces);
        }
      });
      for (std::int64_t k = part.begin; k < part.end; ++k) {
        while (offsets[static_cast<std::size_t>(column) + 1] <= k) ++column;
        const std::int64_t at = row[static_cast<std::size_t>(k - part.begin)];
        if (at < 0 || at >= n_rows()) {
          throw input_error(fmt::format("{}: column {}: row {} found, expected 0 to {}",
                                        indices_->info().location, column, at, n_rows() - 1));
        }
        if (at < rows.begin || at >= rows.end) continue;
        sorter.add(at - rows.begin, column, value[static_cast<std::size_t>(k - part.begin)]);
      }
    }
  }

  std::unique_ptr<Array> data_;
  std::unique_ptr<Array> indices_;
  std::unique_ptr<Array> indptr_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_csc_matrix(const Group& group) {
  return std::make_unique<CscMatrix>(group, read_sparse_shape(group));
}

}  // namespace cellmill
