#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <variant>

#include "anndata/row_sorter.hpp"
#include "cellmill/anndata/matrix_source.hpp"

namespace cellmill {

/// A matrix that the disk does not hold by rows: prepare() sorts the rows that are wanted into
/// scratch, from where they are fetched: as float32 where that holds the values, else as float64.
class SortedMatrix : public MatrixSource {
 public:
  [[nodiscard]] const std::string& location() const final { return location_; }
  [[nodiscard]] std::int64_t n_rows() const final { return n_rows_; }
  [[nodiscard]] std::int32_t n_cols() const final { return n_cols_; }
  /// Until rows are prepared, the non-zeros spread evenly over all of them.
  [[nodiscard]] std::vector<std::int64_t> indptr(Range rows) const final;
  [[nodiscard]] Cost cost(Range rows, std::int64_t nnz) const final;
  using MatrixSource::fetch;
  void fetch(Range rows, FetchedRows& out) const final;
  void decode(const FetchedRows& fetched, CsrChunk& out) const final;
  void decode_stored(const FetchedRows& fetched, CsrRows<double>& out) const final;
  [[nodiscard]] RawVector<std::int32_t> columns(Range rows) const final;
  [[nodiscard]] bool has_rows() const final { return false; }
  void prepare(Range rows, const std::filesystem::path& scratch_folder, Arena& arena) const final;

 protected:
  SortedMatrix(std::string location, std::int64_t n_rows, std::int32_t n_cols);

  /// Reads all that lies in `rows` and adds it, columns of a row in rising order where the disk has
  /// them so; rows count from rows.begin.
  virtual void add_rows(Range rows, Arena& arena, BasicRowSorter<float>& sorter) const = 0;
  virtual void add_rows(Range rows, Arena& arena, BasicRowSorter<double>& sorter) const = 0;
  /// About how many values a row has.
  [[nodiscard]] virtual double expected_row_nnz() const = 0;
  /// Bytes on disk of the whole matrix, about.
  [[nodiscard]] virtual std::int64_t stored_bytes() const = 0;

 private:
  /// What was prepared, if it holds `rows`.
  struct Prepared {
    Range rows;
    std::variant<BasicSortedRows<float>, BasicSortedRows<double>> sorted;
  };
  [[nodiscard]] std::shared_ptr<const Prepared> prepared(Range rows) const;
  [[nodiscard]] std::shared_ptr<const Prepared> prepared_now(Range rows) const;
  void expect_rows(Range rows) const;
  template <class Value>
  [[nodiscard]] BasicSortedRows<Value> sort(Range rows, const std::filesystem::path& scratch_folder,
                                            Arena& arena) const;
  template <class Value>
  void decode_as(const FetchedRows& fetched, CsrRows<Value>& out) const;

  std::string location_;
  std::int64_t n_rows_;
  std::int32_t n_cols_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Prepared> prepared_;
};

/// The average size of a chunk, from some of them, times their number.
[[nodiscard]] std::int64_t estimate_stored_bytes(const Array& array);

}  // namespace cellmill
