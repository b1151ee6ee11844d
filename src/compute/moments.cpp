#include "cellmill/compute/moments.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cellmill/core/error.hpp"
#include "log_table.hpp"
#include "moments_kernels.hpp"

namespace cellmill {

namespace {

/// Values that are scaled at a time, between the caches' reach and the loops' overhead.
constexpr std::int64_t kPiece = 512;

struct Row {
  const std::int32_t* indices;
  const float* values;
  std::int64_t size;
  std::int64_t readable;  ///< indices from the row's first to the view's last
};

Row row_of(const CsrView& rows, std::int64_t row) {
  const auto at = static_cast<std::size_t>(row);
  const std::int64_t begin = rows.indptr[at] - rows.indptr[0];
  return {rows.indices.data() + begin, rows.values.data() + begin,
          rows.indptr[at + 1] - rows.indptr[at], rows.nnz() - begin};
}

[[noreturn]] void throw_bad_count(const Row& row, std::int64_t index) {
  for (std::int64_t i = 0; i < row.size; ++i) {
    if (!(row.values[i] >= 0) || !std::isfinite(row.values[i])) {
      throw input_error(
          fmt::format("row {}, gene {}: found {}, expected a finite number that is not negative",
                      index, row.indices[i], row.values[i]));
    }
  }
  throw input_error(fmt::format("row {}: found a value that is not a count", index));
}

double checked_sum(const MomentsKernels& kernels, const Row& row, std::int64_t index) {
  const MomentsKernels::RowSum found = kernels.row_sum(row.values, row.size);
  if (!found.counts) throw_bad_count(row, index);
  return found.sum;
}

void expect_rows(const CsrView& rows, std::size_t found, const char* what) {
  if (static_cast<std::int64_t>(found) != rows.n_rows()) {
    throw input_error(fmt::format("moments: found {} {} for {} rows", found, what, rows.n_rows()));
  }
}

}  // namespace

SegmentMoments::SegmentMoments(std::int32_t n_genes, CpuLevel level)
    : tallies_(static_cast<std::size_t>(n_genes)), level_(resolve_cpu_level(level)) {}

void SegmentMoments::clear() { std::fill(tallies_.begin(), tallies_.end(), GeneTally{}); }

void SegmentMoments::add_fractions(const CsrView& rows, std::span<double> row_sums) {
  expect_rows(rows, row_sums.size(), "sums");
  const MomentsKernels& kernels = moments_kernels(level_);
  std::array<double, kPiece> x;
  for (std::int64_t r = 0; r < rows.n_rows(); ++r) {
    const Row row = row_of(rows, r);
    const double sum = checked_sum(kernels, row, r);
    row_sums[static_cast<std::size_t>(r)] = sum;
    const double factor = sum > 0 ? 1 / sum : 1;  // a row of explicit zeros adds nothing
    for (std::int64_t i = 0; i < row.size; i += kPiece) {
      const std::int64_t n = std::min(kPiece, row.size - i);
      kernels.scale(row.values + i, factor, x.data(), n);
      kernels.tally(tallies_.data(), row.indices + i, x.data(), n, row.readable - i);
    }
  }
}

void SegmentMoments::add_scaled(const CsrView& rows, std::span<const double> factors) {
  expect_rows(rows, factors.size(), "factors");
  const MomentsKernels& kernels = moments_kernels(level_);
  std::array<double, kPiece> x;
  for (std::int64_t r = 0; r < rows.n_rows(); ++r) {
    const Row row = row_of(rows, r);
    checked_sum(kernels, row, r);
    for (std::int64_t i = 0; i < row.size; i += kPiece) {
      const std::int64_t n = std::min(kPiece, row.size - i);
      kernels.scale(row.values + i, factors[static_cast<std::size_t>(r)], x.data(), n);
      kernels.tally(tallies_.data(), row.indices + i, x.data(), n, row.readable - i);
    }
  }
}

void SegmentMoments::add_log1p(const CsrView& rows, std::span<const double> factors) {
  expect_rows(rows, factors.size(), "factors");
  const MomentsKernels& kernels = moments_kernels(level_);
  std::array<double, kPiece> x;
  LogTable log_of;
  for (std::int64_t r = 0; r < rows.n_rows(); ++r) {
    const Row row = row_of(rows, r);
    checked_sum(kernels, row, r);
    log_of.start_row(factors[static_cast<std::size_t>(r)]);
    for (std::int64_t i = 0; i < row.size; i += kPiece) {
      const std::int64_t n = std::min(kPiece, row.size - i);
      for (std::int64_t k = 0; k < n; ++k) {
        x[static_cast<std::size_t>(k)] = log_of(row.values[i + k]);
      }
      kernels.tally(tallies_.data(), row.indices + i, x.data(), n, row.readable - i);
    }
  }
}

std::vector<double> row_sums(const CsrView& rows) {
  const MomentsKernels& kernels = moments_kernels(resolve_cpu_level(CpuLevel::best));
  std::vector<double> sums(static_cast<std::size_t>(rows.n_rows()));
  for (std::int64_t r = 0; r < rows.n_rows(); ++r) {
    sums[static_cast<std::size_t>(r)] = checked_sum(kernels, row_of(rows, r), r);
  }
  return sums;
}

}  // namespace cellmill
