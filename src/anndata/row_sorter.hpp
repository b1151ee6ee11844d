#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {

template <class Value>
class BasicRowSorter;

/// Rows of a matrix as CSR: in memory if they are few, else in nameless scratch files.
template <class Value>
class BasicSortedRows {
 public:
  [[nodiscard]] std::int64_t n_rows() const {
    return static_cast<std::int64_t>(indptr_.size()) - 1;
  }
  [[nodiscard]] std::int64_t nnz() const { return indptr_.back(); }
  /// Offsets of all rows, n_rows + 1 numbers.
  [[nodiscard]] const std::vector<std::int64_t>& indptr() const { return indptr_; }
  /// The columns and values of rows [rows): indptr[rows.end] − indptr[rows.begin] elements each.
  /// Thread-safe.
  struct Part {
    RawVector<std::byte> columns;  ///< int32
    RawVector<std::byte> values;   ///< of type Value
  };
  [[nodiscard]] Part read(Range rows) const;
  [[nodiscard]] RawVector<std::byte> read_columns(Range rows) const;

 private:
  friend class BasicRowSorter<Value>;
  [[nodiscard]] Range elements(Range rows) const;

  std::vector<std::int64_t> indptr_{0};
  RawVector<std::int32_t> columns_;
  RawVector<Value> values_;
  std::unique_ptr<ScratchFile> columns_file_;  ///< null: in memory
  std::unique_ptr<ScratchFile> values_file_;
};

/// Sorts a stream of (row, column, value) by row in about 64 MiB, whatever its length: the way from
/// columns, dense blocks or coordinates to rows. Values go to buckets of neighbouring rows on
/// scratch; then each bucket is put in order in memory. Not thread-safe. For values of float or,
/// where that does not hold them, double.
template <class Value>
class BasicRowSorter {
 public:
  /// \param n_rows rows are 0 … n_rows − 1
  /// \param expected about how many values come
  /// \param scratch_folder where files go once the values are too many for memory; empty: nowhere,
  /// then it is an error
  BasicRowSorter(std::int64_t n_rows, std::int64_t expected, std::filesystem::path scratch_folder);
  ~BasicRowSorter();
  BasicRowSorter(const BasicRowSorter&) = delete;
  BasicRowSorter& operator=(const BasicRowSorter&) = delete;

  /// \throws Error(io) if the scratch disk is full
  void add(std::int64_t row, std::int32_t column, Value value) {
    const auto at = static_cast<std::size_t>(row >> bucket_shift_);
    Bucket& bucket = buckets_[at];
    bucket.entries.push_back({static_cast<std::uint32_t>(row & bucket_mask_), column, value});
    ++count_[static_cast<std::size_t>(row) + 1];
    if (bucket.entries.size() >= entries_in_memory_) flush(bucket);
  }

  /// Each row's values in the order in which they came. Nothing can be added afterwards.
  [[nodiscard]] BasicSortedRows<Value> finish();

 private:
  struct Entry {
    std::uint32_t row;  ///< in its bucket
    std::int32_t column;
    Value value;
  };
  struct Bucket {
    RawVector<Entry> entries;
    std::vector<std::int64_t> offsets;  ///< of blocks on scratch, entries_in_memory_ each
  };
  void flush(Bucket& bucket);
  [[nodiscard]] RawVector<Entry> gather(Bucket& bucket) const;

  std::int64_t n_rows_;
  std::filesystem::path scratch_folder_;
  int bucket_shift_ = 0;
  std::int64_t bucket_mask_ = 0;
  std::size_t entries_in_memory_ = 0;
  std::vector<Bucket> buckets_;
  std::vector<std::int64_t> count_;  ///< of each row, shifted by one
  std::unique_ptr<ScratchFile> file_;
};

using SortedRows = BasicSortedRows<float>;
using RowSorter = BasicRowSorter<float>;

}  // namespace cellmill
