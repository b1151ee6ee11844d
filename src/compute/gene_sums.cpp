#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cellmill/compute/moments.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

GeneSums::GeneSums(std::int32_t n_genes, int fraction_bits)
    : n_genes_(n_genes),
      sums_(n_genes, fraction_bits),
      squares_(n_genes, fraction_bits),
      counts_(static_cast<std::size_t>(n_genes), 0),
      maxima_(static_cast<std::size_t>(n_genes), 0.0),
      bands_(std::make_unique<std::mutex[]>(static_cast<std::size_t>(n_genes / kBand) + 1)) {}

void GeneSums::add(std::span<const GeneTally> tallies) {
  if (static_cast<std::int64_t>(tallies.size()) != n_genes_) {
    throw input_error(
        fmt::format("gene sums: found {} genes, expected {}", tallies.size(), n_genes_));
  }
  const std::int32_t n_bands = (n_genes_ + kBand - 1) / kBand;
  if (n_bands == 0) return;
  constexpr std::uint32_t kStride = 7;  // consecutive adds start well apart
  const auto start = static_cast<std::int32_t>(next_start_.fetch_add(kStride) %
                                               static_cast<std::uint32_t>(n_bands));
  std::array<double, kBand> sums;
  std::array<double, kBand> squares;
  for (std::int32_t b = 0; b < n_bands; ++b) {
    const std::int32_t band = (start + b) % n_bands;
    const std::int32_t begin = band * kBand;
    const auto n = static_cast<std::size_t>(std::min(kBand, n_genes_ - begin));
    const std::span<const GeneTally> genes = tallies.subspan(static_cast<std::size_t>(begin), n);
    for (std::size_t g = 0; g < n; ++g) {
      sums[g] = genes[g].sum;
      squares[g] = genes[g].sum_squares;
    }
    const std::scoped_lock lock(bands_[static_cast<std::size_t>(band)]);
    sums_.add({sums.data(), n}, begin);
    squares_.add({squares.data(), n}, begin);
    for (std::size_t g = 0; g < n; ++g) {
      const std::size_t at = static_cast<std::size_t>(begin) + g;
      counts_[at] += static_cast<std::int64_t>(genes[g].count);
      maxima_[at] = std::max(maxima_[at], genes[g].max);
    }
  }
}

std::vector<std::int64_t> GeneSums::integers() const {
  std::vector<std::int64_t> result = sums_.limbs();
  const std::vector<std::int64_t> squares = squares_.limbs();
  result.insert(result.end(), squares.begin(), squares.end());
  result.insert(result.end(), counts_.begin(), counts_.end());
  return result;
}

void GeneSums::from_integers(std::span<const std::int64_t> integers) {
  constexpr std::size_t kLimbs = 4;
  const auto n = static_cast<std::size_t>(n_genes_);
  if (integers.size() != (2 * kLimbs + 1) * n) {
    throw input_error(fmt::format("gene sums: found {} integers, expected {}", integers.size(),
                                  (2 * kLimbs + 1) * n));
  }
  sums_.from_limbs(integers.first(kLimbs * n));
  squares_.from_limbs(integers.subspan(kLimbs * n, kLimbs * n));
  std::copy_n(integers.begin() + static_cast<std::ptrdiff_t>(2 * kLimbs * n), n, counts_.begin());
}

std::int64_t GeneSums::bytes(std::int32_t n_genes) {
  return n_genes *
         static_cast<std::int64_t>(2 * sizeof(__int128) + sizeof(std::int64_t) + sizeof(double));
}

}  // namespace cellmill
