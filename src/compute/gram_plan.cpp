#include "gram_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

/// A gene denser than this costs less in the tile (one vector for 16 genes and each non-zero) than
/// as a pair (one load, add, store).
constexpr double kHotDensity = 0.125;
constexpr std::int32_t kTileUnit = 16;
constexpr int kSegmentBits = 11;      // kSegmentRows < 2^11
constexpr int kConvertibleBits = 51;  // what the conversion by addition can take
constexpr double kRoundingSlack = 0x1p-20;

std::int32_t count_hot(const GramOptions& options, std::int32_t n_genes, std::int32_t max_hot) {
  const auto dense = static_cast<std::int32_t>(std::count_if(
      options.density.begin(), options.density.end(), [](double d) { return d >= kHotDensity; }));
  // A begun vector costs as much as a full one.
  const std::int32_t wanted = (dense + kTileUnit - 1) / kTileUnit * kTileUnit;
  return std::min({wanted, n_genes, max_hot});
}

void check_options(const GramOptions& options) {
  const std::size_t n = options.max_abs.size();
  if (n > std::numeric_limits<std::uint16_t>::max() - kTileUnit) {
    throw input_error(fmt::format("Gram matrix: found {} genes, expected at most {}", n,
                                  std::numeric_limits<std::uint16_t>::max() - kTileUnit));
  }
  if ((!options.shift.empty() && options.shift.size() != n) ||
      (!options.density.empty() && options.density.size() != n)) {
    throw input_error(fmt::format("Gram matrix: found {} shifts and {} densities for {} genes",
                                  options.shift.size(), options.density.size(), n));
  }
  if (options.n_cells < 0) {
    throw input_error(fmt::format("Gram matrix: found {} cells", options.n_cells));
  }
  for (std::size_t g = 0; g < n; ++g) {
    const double shift = options.shift.empty() ? 0 : options.shift[g];
    constexpr double kLargest = std::numeric_limits<float>::max();
    if (!(options.max_abs[g] >= 0 && options.max_abs[g] <= kLargest) ||
        !(std::abs(shift) <= kLargest)) {
      throw input_error(fmt::format(
          "Gram matrix, gene {}: found maximum {} and shift {}, expected finite numbers", g,
          options.max_abs[g], shift));
    }
  }
}

}  // namespace

GramPlan::GramPlan(const GramOptions& options, std::int32_t max_hot) : n_cells(options.n_cells) {
  check_options(options);
  n_genes = static_cast<std::int32_t>(options.max_abs.size());
  n_hot = count_hot(options, n_genes, max_hot);
  n_cold = n_genes - n_hot;
  const int cell_bits =
      std::bit_width(static_cast<std::uint64_t>(std::max<std::int64_t>(n_cells, 1)));
  state_bits = std::min(61 - cell_bits, kConvertibleBits - kSegmentBits);

  std::vector<std::int32_t> by_density(static_cast<std::size_t>(n_genes));
  std::iota(by_density.begin(), by_density.end(), 0);
  if (n_hot > 0) {
    std::stable_sort(by_density.begin(), by_density.end(), [&](std::int32_t a, std::int32_t b) {
      return options.density[static_cast<std::size_t>(a)] <
             options.density[static_cast<std::size_t>(b)];
    });
  }
  gene_at = by_density;
  std::sort(gene_at.begin(), gene_at.begin() + n_cold);

  genes.resize(static_cast<std::size_t>(n_genes));
  exponents.resize(static_cast<std::size_t>(n_genes));
  for (std::int32_t position = 0; position < n_genes; ++position) {
    const auto g = static_cast<std::size_t>(gene_at[static_cast<std::size_t>(position)]);
    const bool hot = position >= n_cold;
    const double limit = options.max_abs[g] * (1 + kRoundingSlack);
    const double shift = hot && !options.shift.empty() ? options.shift[g] : 0;
    const double bound = limit + std::abs(shift);
    constexpr int kLargestExponent = 126;  // the scale itself must be a float
    exponents[g] = bound > 0 ? std::min(-std::ilogb(bound) - 1, kLargestExponent) : 0;
    genes[g].limit =
        static_cast<float>(std::min(limit, static_cast<double>(std::numeric_limits<float>::max())));
    genes[g].scale = std::ldexp(1.0F, exponents[g]);
    genes[g].shift = static_cast<float>(std::ldexp(shift, exponents[g]));
    genes[g].position = static_cast<std::uint16_t>(position);
    const std::int32_t width = (n_hot + kTileUnit - 1) / kTileUnit * kTileUnit;
    genes[g].slot = static_cast<std::uint16_t>(hot ? position - n_cold : width);
  }
}

std::int64_t GramPlan::state_size() const {
  const std::int64_t n = n_genes;
  return n + n * (n + 1) / 2;
}

std::int64_t GramPlan::row_begin(std::int64_t position) const {
  const std::int64_t n = n_genes;
  return n + position * n - position * (position - 1) / 2;
}

void GramPlan::check_shape(const CsrView& segment) const {
  if (segment.n_cols != n_genes) {
    throw input_error(
        fmt::format("Gram matrix: found {} genes, expected {}", segment.n_cols, n_genes));
  }
  if (segment.n_rows() > kSegmentRows) {
    throw input_error(fmt::format("Gram matrix: found a segment of {} rows, expected at most {}",
                                  segment.n_rows(), kSegmentRows));
  }
}

void GramPlan::count_cells(std::atomic<std::int64_t>& counted, std::int64_t rows) const {
  const std::int64_t total = counted.fetch_add(rows) + rows;
  if (total > n_cells) {
    counted.fetch_sub(rows);
    throw input_error(
        fmt::format("Gram matrix: found {} cells, expected at most {}", total, n_cells));
  }
}

void GramPlan::throw_bad_value(const CsrView& segment) const {
  for (std::int64_t r = 0; r < segment.n_rows(); ++r) {
    const auto row = static_cast<std::size_t>(r);
    for (std::int64_t k = segment.indptr[row]; k < segment.indptr[row + 1]; ++k) {
      const auto at = static_cast<std::size_t>(k - segment.indptr[0]);
      const std::int32_t gene = segment.indices[at];
      const float value = segment.values[at];
      const float limit = genes[static_cast<std::size_t>(gene)].limit;
      if (!(std::abs(value) <= limit)) {
        throw input_error(fmt::format(
            "Gram matrix, row {}, gene {}: found {}, expected a finite value of at most {}", r,
            gene, value, limit));
      }
    }
  }
  throw input_error("Gram matrix: found a value out of range");
}

GramAccumulator::Covariance GramPlan::covariance(std::span<const std::int64_t> state,
                                                 std::int64_t cells) const {
  if (cells < 2) {
    throw input_error(fmt::format("covariance: found {} cells, expected at least 2", cells));
  }
  const auto n = static_cast<std::size_t>(n_genes);
  const auto count = static_cast<double>(cells);
  const double unit = std::ldexp(1.0, -state_bits);
  std::vector<double> sums(n);     // scaled by 2^exponent, as the triangle is
  std::vector<double> centres(n);  // mean − shift
  std::vector<double> unscale(n);
  GramAccumulator::Covariance result;
  result.means.resize(n);
  for (std::size_t p = 0; p < n; ++p) {
    const auto g = static_cast<std::size_t>(gene_at[p]);
    sums[p] = static_cast<double>(state[p]) * unit;
    centres[p] = sums[p] / count - static_cast<double>(genes[g].shift);
    unscale[p] = std::ldexp(1.0, -exponents[g]);
    result.means[g] = sums[p] / count * unscale[p];
  }
  result.matrix.resize(n * n);
  for (std::size_t p = 0; p < n; ++p) {
    const std::int64_t* row = state.data() + row_begin(static_cast<std::int64_t>(p));
    const auto a = static_cast<std::size_t>(gene_at[p]);
    for (std::size_t q = p; q < n; ++q) {
      // Σ x_a (x_b − s_b) less Σ x_a (m_b − s_b)
      const double centred = static_cast<double>(row[q - p]) * unit - sums[p] * centres[q];
      const double value = centred * unscale[p] * unscale[q] / (count - 1);
      const auto b = static_cast<std::size_t>(gene_at[q]);
      result.matrix[a * n + b] = value;
      result.matrix[b * n + a] = value;
    }
  }
  return result;
}

}  // namespace cellmill
