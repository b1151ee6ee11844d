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
/// Values in a bucket that is being put in order: 20 bytes each with their copy.
constexpr std::int64_t entries_of_bucket = std::int64_t{1} << 20;

}  // namespace

SortedRows::Part SortedRows::read(Range rows) const {
  const std::int64_t begin = indptr_[static_cast<std::size_t>(rows.begin)];
  const auto count = static_cast<std::size_t>(indptr_[static_cast<std::size_t>(rows.end)] - begin);
  Part part;
  part.columns.resize(count * sizeof(std::int32_t));
  part.values.resize(count * sizeof(float));
  if (columns_file_ != nullptr) {
    columns_file_->read(begin * static_cast<std::int64_t>(sizeof(std::int32_t)), part.columns);
    values_file_->read(begin * static_cast<std::int64_t>(sizeof(float)), part.values);
  } else {
    const auto first = static_cast<std::size_t>(begin);
    const auto columns = std::as_bytes(std::span(columns_).subspan(first, count));
    const auto values = std::as_bytes(std::span(values_).subspan(first, count));
    std::copy(columns.begin(), columns.end(), part.columns.begin());
    std::copy(values.begin(), values.end(), part.values.begin());
  }
  return part;
}

RowSorter::RowSorter(std::int64_t n_rows, std::int64_t expected,
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

RowSorter::~RowSorter() = default;

void RowSorter::flush(Bucket& bucket) {
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

RawVector<RowSorter::Entry> RowSorter::gather(Bucket& bucket) const {
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

SortedRows RowSorter::finish() {
  SortedRows sorted;
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
  RawVector<float> values;
  std::vector<std::int64_t> next;
  for (std::size_t b = 0; b < buckets_.size(); ++b) {
    const std::int64_t first_row = static_cast<std::int64_t>(b) << bucket_shift_;
    const std::int64_t end_row = std::min(first_row + bucket_mask_ + 1, n_rows_);
    if (first_row >= end_row) break;
    const std::int64_t base = sorted.indptr_[static_cast<std::size_t>(first_row)];
    const RawVector<Entry> entries = gather(buckets_[b]);
    next.assign(sorted.indptr_.begin() + first_row, sorted.indptr_.begin() + end_row);
    std::int32_t* to_columns = sorted.columns_.data() + (in_memory ? base : 0);
    float* to_values = sorted.values_.data() + (in_memory ? base : 0);
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

}  // namespace cellmill
