#include "anndata/csr_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "anndata/cached_vector.hpp"
#include "anndata/element_window.hpp"
#include "anndata/sparse_arrays.hpp"
#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

std::int64_t chunks_bytes(const Array& array, Range range) {
  if (range.empty()) return 0;
  const std::int64_t size = array.info().chunk_shape[0];
  std::int64_t bytes = 0;
  for (std::int64_t chunk = range.begin / size; chunk <= (range.end - 1) / size; ++chunk) {
    bytes += array.encoded_bytes(chunk);
  }
  return bytes;
}

class CsrMatrix final : public MatrixSource {
 public:
  explicit CsrMatrix(const Group& group)
      : location_(group.location()),
        shape_(read_sparse_shape(group)),
        data_(open_sparse_vector(group, "data")),
        indices_(open_sparse_vector(group, "indices")),
        indptr_(open_sparse_vector(group, "indptr"), std::numeric_limits<std::int64_t>::max()) {
    expect_elements(indptr_.array(), shape_.rows + 1, "one more than rows");
    expect_elements(*indices_, nnz(), "as many as data");
    expect_offset(0, 0);
    expect_offset(shape_.rows, nnz());
  }

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] std::string encoding() const override { return "csr_matrix"; }
  [[nodiscard]] DType dtype() const override { return data_->info().dtype; }
  [[nodiscard]] std::int64_t n_rows() const override { return shape_.rows; }
  [[nodiscard]] std::int32_t n_cols() const override { return shape_.cols; }
  [[nodiscard]] std::int64_t nnz() const override { return element_count(data_->info()); }

  [[nodiscard]] std::vector<std::int64_t> indptr(Range rows) const override {
    if (rows.begin < 0 || rows.end < rows.begin || rows.end > shape_.rows) {
      throw input_error(fmt::format("{}: rows {}–{} asked for, it has {}", location_,
                                    grouped(rows.begin), grouped(rows.end), grouped(shape_.rows)));
    }
    std::vector<std::int64_t> offsets = indptr_.read<std::int64_t>({rows.begin, rows.end + 1});
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      const std::int64_t least = i == 0 ? 0 : offsets[i - 1];
      if (offsets[i] >= least && offsets[i] <= nnz()) continue;
      throw input_error(fmt::format("{}: row {}: offset {} found, expected {} to {}",
                                    indptr_.array().info().location,
                                    grouped(rows.begin + static_cast<std::int64_t>(i)),
                                    grouped(offsets[i]), grouped(least), grouped(nnz())));
    }
    return offsets;
  }

  [[nodiscard]] Cost cost(Range rows, std::int64_t nnz) const override {
    const std::vector<std::int64_t> offsets = indptr(rows);
    const Range stored{offsets.front(), offsets.back()};
    return {chunks_bytes(*indices_, stored) + chunks_bytes(*data_, stored),
            nnz * static_cast<std::int64_t>(sizeof(std::int32_t) + sizeof(float)) +
                (rows.size() + 1) * static_cast<std::int64_t>(sizeof(std::int64_t))};
  }

  void fetch(Range rows, FetchedRows& out) const override {
    ChunkCache none;
    fetch(rows, indptr(rows), none, out);
  }

  void fetch(Range rows, std::span<const std::int64_t> offsets, ChunkCache& cache,
             FetchedRows& out) const override {
    out.rows = rows;
    out.indptr.assign(offsets.begin(), offsets.end());
    const Range stored{out.indptr.front(), out.indptr.back()};
    cache.fetch_range(*indices_, stored, out.indices);
    cache.fetch_range(*data_, stored, out.values);
  }

  void decode(const FetchedRows& fetched, CsrChunk& out) const override {
    decode_as(fetched, out);
    const bool canonical = decode_columns(fetched.indices, out);
    if (!canonical) with_context(indices_->info().location, [&] { make_canonical(out); });
  }

  void decode_stored(const FetchedRows& fetched, CsrRows<double>& out) const override {
    decode_as(fetched, out);
    decode_indices(*indices_, fetched.indices, out.indices);
    with_context(indices_->info().location,
                 [&] { check_columns(out.indptr, out.indices, out.first_row, out.n_cols); });
    with_context(data_->info().location, [&] { check_exact(dtype(), out.values); });
  }

  [[nodiscard]] RawVector<std::int32_t> columns(Range rows) const override {
    std::vector<std::int64_t> offsets = indptr(rows);
    const Range stored{offsets.front(), offsets.back()};
    RawVector<std::int32_t> columns(static_cast<std::size_t>(stored.size()));
    decode_indices(*indices_, fetch_range(*indices_, stored), columns);
    for (std::int64_t& offset : offsets) offset -= stored.begin;
    with_context(indices_->info().location,
                 [&] { check_columns(offsets, columns, rows.begin, shape_.cols); });
    return columns;
  }

  void visit_rows(const FetchedRows& fetched,
                  const std::function<void(const StoredRow&)>& visit) const override {
    thread_local RawVector<std::byte> room_of_indices;
    thread_local RawVector<std::byte> room_of_values;
    ElementWindow indices(*indices_, fetched.indices, room_of_indices);
    ElementWindow values(*data_, fetched.values, room_of_values);
    StoredRow stored;
    stored.index_dtype = indices_->info().dtype;
    stored.value_dtype = data_->info().dtype;
    for (std::size_t i = 0; i + 1 < fetched.indptr.size(); ++i) {
      const Range elements{fetched.indptr[i], fetched.indptr[i + 1]};
      stored.row = fetched.rows.begin + static_cast<std::int64_t>(i);
      stored.nnz = elements.size();
      stored.indices = indices.elements(elements);
      stored.values = values.elements(elements);
      visit(stored);
    }
  }

  [[nodiscard]] bool has_packed_rows() const override {
    return indices_->packed_rows() != nullptr && data_->packed_rows() != nullptr;
  }

  void verify_packed(const FetchedRows& fetched) const override {
    const auto verify = [](const Array& array, const FetchedRange& range) {
      for (const EncodedChunk& chunk : range.chunks) {
        if (!chunk.verified) array.packed_rows()->verify(chunk);
      }
    };
    verify(*indices_, fetched.indices);
    verify(*data_, fetched.values);
  }

  void decode_rows(std::span<const PackedRow> rows, std::span<std::int32_t> indices,
                   std::span<float> values, Landing landing) const override {
    thread_local std::vector<PackedPart> parts;
    parts.clear();
    for (const PackedRow& row : rows) add_parts(*indices_, row, row.fetched->indices, parts);
    indices_->packed_rows()->decode(parts, indices, landing);
    parts.clear();
    for (const PackedRow& row : rows) add_parts(*data_, row, row.fetched->values, parts);
    data_->packed_rows()->decode(parts, values, landing);
    // Packed columns rise: the last one of a row is its largest.
    std::size_t end = 0;
    for (const PackedRow& row : rows) {
      const Range elements = elements_of(row);
      if (elements.empty()) continue;
      const std::int32_t first = indices[end];
      end += static_cast<std::size_t>(elements.size());
      const std::int32_t last = indices[end - 1];
      if (first >= 0 && last < shape_.cols) continue;
      throw input_error(fmt::format("{}: row {}: columns {} to {} found, expected 0 to {}",
                                    indices_->info().location, grouped(row.row), first, last,
                                    shape_.cols - 1));
    }
  }

 private:
  /// All but the columns.
  template <class Value>
  void decode_as(const FetchedRows& fetched, CsrRows<Value>& out) const {
    const auto nnz = static_cast<std::size_t>(fetched.values.range.size());
    out.first_row = fetched.rows.begin;
    out.n_cols = shape_.cols;
    out.indptr.resize(fetched.indptr.size());
    for (std::size_t i = 0; i < fetched.indptr.size(); ++i) {
      out.indptr[i] = fetched.indptr[i] - fetched.indptr.front();
    }
    resize_for_reuse(out.indices, nnz);
    resize_for_reuse(out.values, nnz);
    decode_range<Value>(*data_, fetched.values, out.values);
  }

  [[nodiscard]] static Range elements_of(const PackedRow& row) {
    const auto at = static_cast<std::size_t>(row.row - row.fetched->rows.begin);
    return {row.fetched->indptr[at], row.fetched->indptr[at + 1]};
  }

  /// The pieces of one row, chunk by chunk.
  static void add_parts(const Array& array, const PackedRow& row, const FetchedRange& fetched,
                        std::vector<PackedPart>& parts) {
    const std::int64_t length = array.info().chunk_shape[0];
    const Range elements = elements_of(row);
    for (std::int64_t at = elements.begin; at < elements.end;) {
      const std::int64_t chunk = at / length;
      const std::int64_t end = std::min(elements.end, (chunk + 1) * length);
      const auto place = static_cast<std::size_t>(chunk - fetched.chunks.front().chunk);
      parts.push_back({&fetched.chunks[place], {at - chunk * length, end - chunk * length}});
      at = end;
    }
  }

  /// Chunk by chunk, each looked at while it is in the cache; returns whether all rows are
  /// canonical.
  [[nodiscard]] bool decode_columns(const FetchedRange& fetched, CsrChunk& out) const {
    CanonicalCheck check(out);
    const auto chunks = static_cast<std::int64_t>(fetched.chunks.size());
    for (std::int64_t i = 0; i < chunks; ++i) {
      decode_indices(*indices_, fetched, out.indices, i, chunks);
      const std::int64_t end =
          (fetched.chunks[static_cast<std::size_t>(i)].chunk + 1) * indices_->info().chunk_shape[0];
      check.decoded(std::min(end, fetched.range.end) - fetched.range.begin);
    }
    return check.all_canonical();
  }

  void expect_offset(std::int64_t row, std::int64_t expected) const {
    const std::int64_t found = indptr_.read<std::int64_t>({row, row + 1}).front();
    if (found == expected) return;
    throw input_error(fmt::format("{}: {} found at {}, expected {}",
                                  indptr_.array().info().location, grouped(found), grouped(row),
                                  grouped(expected)));
  }

  std::string location_;
  SparseShape shape_;
  std::unique_ptr<Array> data_;
  std::unique_ptr<Array> indices_;
  CachedVector indptr_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_csr_matrix(const Group& group) {
  return std::make_unique<CsrMatrix>(group);
}

}  // namespace cellmill
