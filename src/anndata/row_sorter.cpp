#include "anndata/row_sorter.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <span>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

/// Buffers of all buckets together; also what may stay in memory for good.
constexpr std::int64_t buffered_bytes = std::int64_t{32} << 20;
/// Values in a bucket that is being put in order: 20 bytes each with their copy (double: 28).
constexpr std::int64_t entries_of_bucket = std::int64_t{1} << 20;

/// Elements [range), from memory or, if there is one, the file.
template <class T>
RawVector<std::byte> read_part(Range range, const RawVector<T>& in_memory,
                               const ScratchFile* file) {
  constexpr auto width = static_cast<std::int64_t>(sizeof(T));
  RawVector<std::byte> part(static_cast<std::size_t>(range.size() * width));
  if (file != nullptr) {
    file->read(range.begin * width, part);
  } else {
    const auto from = std::as_bytes(std::span(in_memory).subspan(
        static_cast<std::size_t>(range.begin), static_cast<std::size_t>(range.size())));
    std::copy(from.begin(), from.end(), part.begin());
  }
  return part;
}

}  // namespace

template <class Value>
Range BasicSortedRows<Value>::elements(Range rows) const {
  return {indptr_[static_cast<std::size_t>(rows.begin)],
          indptr_[static_cast<std::size_t>(rows.end)]};
}

template <class Value>
RawVector<std::byte> BasicSortedRows<Value>::read_columns(Range rows) const {
  return read_part(elements(rows), columns_, columns_file_.get());
}

template <class Value>
typename BasicSortedRows<Value>::Part BasicSortedRows<Value>::read(Range rows) const {
  return {read_columns(rows), read_part(elements(rows), values_, values_file_.get())};
}

template <class Value>
BasicRowSorter<Value>::BasicRowSorter(std::int64_t n_rows, std::int64_t expected,
                                      std::filesystem::path scratch_folder)
    : n_rows_(n_rows),
      scratch_folder_(std::move(scratch_folder)),
      count_(static_cast<std::size_t>(n_rows) + 1, 0) {
  // Buckets of a power of two of rows: as few as keep a bucket small.
  const std::int64_t wanted = std::max<std::int64_t>(expected / entries_of_bucket, 1);
  const auto rows_of_bucket =
      static_cast<std::uint64_t>(std::max<std::int64_t>(n_rows / wanted, 1));
  bucket_shift_ = static_cast<int>(std::bit_width(std::bit_ceil(rows_of_bucket))) - 1;
  bucket_mask_ = (std::int64_t{1} << bucket_shift_) - 1;
  buckets_.resize(static_cast<std::size_t>((n_rows >> bucket_shift_) + 1));
  constexpr std::int64_t least = 256;
  const auto n_buckets = static_cast<std::int64_t>(buckets_.size());
  entries_in_memory_ = static_cast<std::size_t>(std::max<std::int64_t>(
      buffered_bytes / static_cast<std::int64_t>(sizeof(Entry)) / n_buckets, least));
}

template <class Value>
BasicRowSorter<Value>::~BasicRowSorter() = default;

template <class Value>
void BasicRowSorter<Value>::flush(Bucket& bucket) {
  if (file_ == nullptr) {
    if (scratch_folder_.empty()) {
      throw io_error(
          "a matrix that is not stored by rows must be sorted on local disk, and none was found; "
          "name a folder with --scratch DIR");
    }
    file_ = std::make_unique<ScratchFile>(scratch_folder_);
  }
  bucket.offsets.push_back(file_->append(std::as_bytes(std::span(bucket.entries))));
  bucket.entries.clear();
}

template <class Value>
RawVector<typename BasicRowSorter<Value>::Entry> BasicRowSorter<Value>::gather(
    Bucket& bucket) const {
  const std::size_t flushed = bucket.offsets.size() * entries_in_memory_;
  RawVector<Entry> entries(flushed + bucket.entries.size());
  for (std::size_t i = 0; i < bucket.offsets.size(); ++i) {
    file_->read(bucket.offsets[i], std::as_writable_bytes(std::span(entries).subspan(
                                       i * entries_in_memory_, entries_in_memory_)));
  }
  std::copy(bucket.entries.begin(), bucket.entries.end(),
            entries.begin() + static_cast<std::ptrdiff_t>(flushed));
  bucket = {};
  return entries;
}

template <class Value>
BasicSortedRows<Value> BasicRowSorter<Value>::finish() {
  BasicSortedRows<Value> sorted;
  sorted.indptr_ = std::move(count_);
  std::partial_sum(sorted.indptr_.begin(), sorted.indptr_.end(), sorted.indptr_.begin());
  const bool in_memory = file_ == nullptr;
  if (in_memory) {
    sorted.columns_.resize(static_cast<std::size_t>(sorted.nnz()));
    sorted.values_.resize(static_cast<std::size_t>(sorted.nnz()));
  } else {
    sorted.columns_file_ = std::make_unique<ScratchFile>(scratch_folder_);
    sorted.values_file_ = std::make_unique<ScratchFile>(scratch_folder_);
  }
  RawVector<std::int32_t> columns;
  RawVector<Value> values;
  std::vector<std::int64_t> next;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    const std::int64_t first_row = static_cast<std::int64_t>(b) << bucket_shift_;
    const std::int64_t end_row = std::min(first_row + bucket_mask_ + 1, n_rows_);
    if (first_row >= end_row) break;
    const std::int64_t base = sorted.indptr_[static_cast<std::size_t>(first_row)];
    const RawVector<Entry> entries = gather(buckets_[b]);
    next.assign(sorted.indptr_.begin() + first_row, sorted.indptr_.begin() + end_row);
    std::int32_t* to_columns = sorted.columns_.data() + (in_memory ? base : 0);
    Value* to_values = sorted.values_.data() + (in_memory ? base : 0);
    if (!in_memory) {
      columns.resize(entries.size());
      values.resize(entries.size());
      to_columns = columns.data();
      to_values = values.data();
    }
    for (const Entry& entry : entries) {
      const std::int64_t at = next[entry.row]++ - base;
      to_columns[at] = entry.column;
      to_values[at] = entry.value;
    }
    if (!in_memory) {
      sorted.columns_file_->append(std::as_bytes(std::span(columns)));
      sorted.values_file_->append(std::as_bytes(std::span(values)));
    }
  }
  buckets_.clear();
  file_.reset();
  return sorted;
}

template class BasicSortedRows<float>;
template class BasicSortedRows<double>;
template class BasicRowSorter<float>;
template class BasicRowSorter<double>;

}  // namespace cellmill
