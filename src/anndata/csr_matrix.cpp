#include "anndata/csr_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "anndata/cached_vector.hpp"
#include "anndata/csr_rows.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

struct Shape {
  std::int64_t rows = 0;
  std::int32_t cols = 0;
};

Shape read_shape(const Group& group) {
  const nlohmann::json attributes = group.attributes();
  const auto shape = attributes.find("shape");
  const bool sizes = shape != attributes.end() && shape->is_array() && shape->size() == 2 &&
                     (*shape)[0].is_number_integer() && (*shape)[1].is_number_integer();
  if (!sizes) {
    throw input_error(fmt::format("attribute shape: {} found, expected two integers",
                                  shape == attributes.end() ? "nothing" : shape->dump()));
  }
  const auto rows = (*shape)[0].get<std::int64_t>();
  const auto cols = (*shape)[1].get<std::int64_t>();
  if (rows < 0 || cols < 0 || cols > std::numeric_limits<std::int32_t>::max()) {
    throw input_error(
        fmt::format("shape {} × {} found, expected at most 2^31 − 1 columns", rows, cols));
  }
  return {rows, static_cast<std::int32_t>(cols)};
}

std::unique_ptr<Array> open_vector(const Group& group, const std::string& name) {
  std::unique_ptr<Array> array = group.array(name);
  const ArrayInfo& info = array->info();
  if (info.shape.size() != 1) {
    throw input_error(
        fmt::format("{}: has {} dimensions, expected 1", info.location, info.shape.size()));
  }
  const bool fits = name == "data" ? info.dtype != DType::string : is_integer(info.dtype);
  if (!fits) {
    throw input_error(fmt::format("{}: holds {}, expected {}", info.location,
                                  dtype_name(info.dtype), name == "data" ? "numbers" : "integers"));
  }
  return array;
}

std::int64_t length(const Array& array) { return array.info().shape[0]; }

/// Integers wider than a column number are narrowed by us, because a cast would hide those outside.
bool needs_narrowing(DType dtype) {
  return dtype == DType::int64 || dtype == DType::uint64 || dtype == DType::uint32;
}

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
        shape_(read_shape(group)),
        data_(open_vector(group, "data")),
        indices_(open_vector(group, "indices")),
        indptr_(open_vector(group, "indptr"), std::numeric_limits<std::int64_t>::max()) {
    expect_length(indptr_.array(), shape_.rows + 1, "one more than rows");
    expect_length(*indices_, nnz(), "as many as data");
    expect_offset(0, 0);
    expect_offset(shape_.rows, nnz());
  }

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] std::string encoding() const override { return "csr_matrix"; }
  [[nodiscard]] DType dtype() const override { return data_->info().dtype; }
  [[nodiscard]] std::int64_t n_rows() const override { return shape_.rows; }
  [[nodiscard]] std::int32_t n_cols() const override { return shape_.cols; }
  [[nodiscard]] std::int64_t nnz() const override { return length(*data_); }

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

  [[nodiscard]] FetchedRows fetch(Range rows) const override {
    FetchedRows fetched;
    fetched.rows = rows;
    fetched.indptr = indptr(rows);
    const Range stored{fetched.indptr.front(), fetched.indptr.back()};
    fetched.indices = fetch_range(*indices_, stored);
    fetched.values = fetch_range(*data_, stored);
    return fetched;
  }

  void decode(const FetchedRows& fetched, CsrChunk& out) const override {
    const auto nnz = static_cast<std::size_t>(fetched.values.range.size());
    out.first_row = fetched.rows.begin;
    out.n_cols = shape_.cols;
    out.indptr.resize(fetched.indptr.size());
    for (std::size_t i = 0; i < fetched.indptr.size(); ++i) {
      out.indptr[i] = fetched.indptr[i] - fetched.indptr.front();
    }
    out.indices.resize(nnz);
    out.values.resize(nnz);
    if (needs_narrowing(indices_->info().dtype)) {
      decode_wide_indices(fetched.indices, out.indices);
    } else {
      decode_range<std::int32_t>(*indices_, fetched.indices, out.indices);
    }
    decode_range<float>(*data_, fetched.values, out.values);
    with_context(indices_->info().location, [&] { make_canonical(out); });
  }

 private:
  static void expect_length(const Array& array, std::int64_t expected, const char* why) {
    if (length(array) == expected) return;
    throw input_error(fmt::format("{}: {} elements found, expected {} ({})", array.info().location,
                                  grouped(length(array)), grouped(expected), why));
  }

  void expect_offset(std::int64_t row, std::int64_t expected) const {
    const std::int64_t found = indptr_.read<std::int64_t>({row, row + 1}).front();
    if (found == expected) return;
    throw input_error(fmt::format("{}: {} found at {}, expected {}",
                                  indptr_.array().info().location, grouped(found), grouped(row),
                                  grouped(expected)));
  }

  /// Column numbers that are no int32 become −1, which no matrix has.
  void decode_wide_indices(const FetchedRange& fetched, std::span<std::int32_t> out) const {
    const ArrayInfo& info = indices_->info();
    const std::size_t width = dtype_size(info.dtype);
    thread_local RawVector<std::byte> decoded;
    thread_local RawVector<std::int64_t> wide;
    decoded.resize(static_cast<std::size_t>(info.chunk_shape[0]) * width);
    for (const EncodedChunk& chunk : fetched.chunks) {
      indices_->decode(chunk, decoded);
      const std::int64_t first = chunk.chunk * info.chunk_shape[0];
      const Range part{std::max(first, fetched.range.begin),
                       std::min(first + info.chunk_shape[0], fetched.range.end)};
      wide.resize(static_cast<std::size_t>(part.size()));
      convert_elements<std::int64_t>(
          info.dtype,
          std::span(decoded).subspan(static_cast<std::size_t>(part.begin - first) * width,
                                     wide.size() * width),
          wide);
      std::int32_t* to = out.data() + (part.begin - fetched.range.begin);
      for (std::size_t i = 0; i < wide.size(); ++i) {
        const bool fits = wide[i] >= 0 && wide[i] <= std::numeric_limits<std::int32_t>::max();
        to[i] = fits ? static_cast<std::int32_t>(wide[i]) : -1;
      }
    }
  }

  std::string location_;
  Shape shape_;
  std::unique_ptr<Array> data_;
  std::unique_ptr<Array> indices_;
  CachedVector indptr_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_csr_matrix(const Group& group) {
  return std::make_unique<CsrMatrix>(group);
}

}  // namespace cellmill
