#include "anndata/sorted_matrix.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

SortedMatrix::SortedMatrix(std::string location, std::int64_t n_rows, std::int32_t n_cols)
    : location_(std::move(location)), n_rows_(n_rows), n_cols_(n_cols) {}

void SortedMatrix::expect_rows(Range rows) const {
  if (rows.begin >= 0 && rows.begin <= rows.end && rows.end <= n_rows_) return;
  throw input_error(fmt::format("{}: rows {}–{} asked for, it has {}", location_,
                                grouped(rows.begin), grouped(rows.end), grouped(n_rows_)));
}

std::shared_ptr<const SortedMatrix::Prepared> SortedMatrix::prepared(Range rows) const {
  const std::lock_guard lock(mutex_);
  const bool inside = prepared_ != nullptr && rows.begin >= prepared_->rows.begin &&
                      rows.end <= prepared_->rows.end;
  return inside ? prepared_ : nullptr;
}

template <class Value>
BasicSortedRows<Value> SortedMatrix::sort(Range rows, const std::filesystem::path& scratch_folder,
                                          Arena& arena) const {
  BasicRowSorter<Value> sorter(
      rows.size(), static_cast<std::int64_t>(expected_row_nnz() * static_cast<double>(rows.size())),
      scratch_folder);
  if (!rows.empty()) add_rows(rows, arena, sorter);
  return sorter.finish();
}

void SortedMatrix::prepare(Range rows, const std::filesystem::path& scratch_folder,
                           Arena& arena) const {
  expect_rows(rows);
  if (prepared(rows) != nullptr) return;
  auto made = std::make_shared<Prepared>();
  made->rows = rows;
  if (fits_float32(dtype())) {
    made->sorted = sort<float>(rows, scratch_folder, arena);
  } else {
    made->sorted = sort<double>(rows, scratch_folder, arena);
  }
  const std::lock_guard lock(mutex_);
  prepared_ = std::move(made);
}

std::shared_ptr<const SortedMatrix::Prepared> SortedMatrix::prepared_now(Range rows) const {
  if (auto ready = prepared(rows)) return ready;
  // Whoever reads a few rows of a small file need not know; others prepare what they want first.
  Arena alone(1);
  prepare({0, n_rows_}, find_scratch_folder({}, 0), alone);
  return prepared(rows);
}

std::vector<std::int64_t> SortedMatrix::indptr(Range rows) const {
  expect_rows(rows);
  std::vector<std::int64_t> offsets;
  if (const auto ready = prepared(rows)) {
    const std::vector<std::int64_t>& all = std::visit(
        [](const auto& sorted) -> const std::vector<std::int64_t>& { return sorted.indptr(); },
        ready->sorted);
    offsets.assign(all.begin() + (rows.begin - ready->rows.begin),
                   all.begin() + (rows.end - ready->rows.begin) + 1);
    return offsets;
  }
  for (std::int64_t row = rows.begin; row <= rows.end; ++row) {
    offsets.push_back(static_cast<std::int64_t>(expected_row_nnz() * static_cast<double>(row)));
  }
  return offsets;
}

MatrixSource::Cost SortedMatrix::cost(Range rows, std::int64_t nnz) const {
  constexpr std::int64_t unpacked = sizeof(std::int32_t) + sizeof(float);
  const std::int64_t indptr_bytes =
      (rows.size() + 1) * static_cast<std::int64_t>(sizeof(std::int64_t));
  const bool ready = prepared(rows) != nullptr;
  const double share =
      n_rows_ == 0 ? 0 : static_cast<double>(rows.size()) / static_cast<double>(n_rows_);
  const auto on_disk = static_cast<std::int64_t>(share * static_cast<double>(stored_bytes()));
  return {ready ? nnz * unpacked : on_disk, nnz * unpacked + indptr_bytes};
}

void SortedMatrix::fetch(Range rows, FetchedRows& out) const {
  const auto ready = prepared_now(rows);
  const Range local{rows.begin - ready->rows.begin, rows.end - ready->rows.begin};
  out.rows = rows;
  out.indptr = indptr(rows);
  const Range stored{out.indptr.front(), out.indptr.back()};
  out.indices.range = stored;
  out.values.range = stored;
  out.indices.chunks.resize(1);
  out.values.chunks.resize(1);
  std::visit(
      [&](const auto& sorted) {
        auto part = sorted.read(local);
        out.indices.chunks.front().own(std::move(part.columns));
        out.values.chunks.front().own(std::move(part.values));
      },
      ready->sorted);
}

template <class Value>
void SortedMatrix::decode_as(const FetchedRows& fetched, CsrRows<Value>& out) const {
  const auto nnz = static_cast<std::size_t>(fetched.values.range.size());
  out.first_row = fetched.rows.begin;
  out.n_cols = n_cols_;
  out.indptr.resize(fetched.indptr.size());
  for (std::size_t i = 0; i < fetched.indptr.size(); ++i) {
    out.indptr[i] = fetched.indptr[i] - fetched.indptr.front();
  }
  resize_for_reuse(out.indices, nnz);
  resize_for_reuse(out.values, nnz);
  if (nnz == 0) return;
  std::memcpy(out.indices.data(), fetched.indices.chunks.front().bytes.data(),
              nnz * sizeof(std::int32_t));
  const DType kept = fits_float32(dtype()) ? DType::float32 : DType::float64;
  convert_elements<Value>(kept, fetched.values.chunks.front().bytes, out.values);
}

void SortedMatrix::decode(const FetchedRows& fetched, CsrChunk& out) const {
  decode_as(fetched, out);
  with_context(location_, [&] { make_canonical(out); });
}

void SortedMatrix::decode_stored(const FetchedRows& fetched, CsrRows<double>& out) const {
  decode_as(fetched, out);
  with_context(location_, [&] { check_exact(dtype(), out.values); });
}

RawVector<std::int32_t> SortedMatrix::columns(Range rows) const {
  const auto ready = prepared_now(rows);
  const Range local{rows.begin - ready->rows.begin, rows.end - ready->rows.begin};
  const RawVector<std::byte> bytes =
      std::visit([&](const auto& sorted) { return sorted.read_columns(local); }, ready->sorted);
  RawVector<std::int32_t> columns(bytes.size() / sizeof(std::int32_t));
  convert_elements<std::int32_t>(DType::int32, bytes, columns);
  return columns;
}

std::int64_t estimate_stored_bytes(const Array& array) {
  constexpr std::int64_t most_asked = 64;
  const std::int64_t chunks = chunk_count(array.info());
  const std::int64_t asked = std::min(chunks, most_asked);
  std::int64_t bytes = 0;
  for (std::int64_t i = 0; i < asked; ++i) bytes += array.encoded_bytes(i * chunks / asked);
  return asked == 0
             ? 0
             : static_cast<std::int64_t>(static_cast<double>(bytes) / static_cast<double>(asked) *
                                         static_cast<double>(chunks));
}

}  // namespace cellmill
