#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cellmill/compute/backend.hpp"

namespace cellmill {

/// Rows of one add: bounds the sums of a segment, and so the integers they become.
constexpr std::int64_t kSegmentRows = 2000;

/// Order and scale of the genes in a Gram matrix: a pure function of the options and of the widest
/// tile.
///
/// Positions: first the cold genes, in their own order (so a row's cold genes stay sorted); then
/// the hot ones, the densest last, because entry (i, j ≥ i) is found by walking the non-zeros of i.
///
/// Scale: b = max_abs · (1 + 2^-20) + |shift| of a gene is brought to at most 1 by 2^exponent.
/// Products are then at most 1, a segment's sums at most 2,000 < 2^11, and N cells' sums at most N,
/// so with 2^state_bits, state_bits = min(61 − ⌈log2 (N + 1)⌉, 51 − 11), a segment's integer stays
/// below 2^51 and the total, its roundings included, below 2^62.
struct GramPlan {
  struct Gene {
    float limit = 0;             ///< largest |value| accepted
    float scale = 1;             ///< 2^exponent
    float shift = 0;             ///< scaled; 0 for cold genes
    std::uint16_t position = 0;  ///< in the Gram matrix
    std::uint16_t slot = 0;      ///< column of the tile; for cold genes one that nobody reads
  };

  GramPlan(const GramOptions& options, std::int32_t max_hot);

  std::int32_t n_genes = 0;
  std::int32_t n_cold = 0;
  std::int32_t n_hot = 0;
  std::int64_t n_cells = 0;
  int state_bits = 0;
  std::vector<Gene> genes;            ///< by gene
  std::vector<std::int32_t> gene_at;  ///< by position
  std::vector<int> exponents;         ///< by gene

  [[nodiscard]] float shift_at(std::int64_t position) const {
    return genes[static_cast<std::size_t>(gene_at[static_cast<std::size_t>(position)])].shift;
  }

  /// Of the state: the genes' sums, then the upper triangle by rows.
  [[nodiscard]] std::int64_t state_size() const;
  /// Where in the state row `position` of the triangle starts (its first entry is the diagonal).
  [[nodiscard]] std::int64_t row_begin(std::int64_t position) const;

  /// \throws Error(input) if the segment has the wrong shape or too many rows
  void check_shape(const CsrView& segment) const;
  /// Counts a segment's cells. \throws Error(input), counting nothing, if they are more than the
  /// options said
  void count_cells(std::atomic<std::int64_t>& counted, std::int64_t rows) const;
  /// \throws Error(input) naming the first value that is not finite or above its gene's maximum
  [[noreturn]] void throw_bad_value(const CsrView& segment) const;

  [[nodiscard]] GramAccumulator::Covariance covariance(std::span<const std::int64_t> state,
                                                       std::int64_t cells) const;
};

}  // namespace cellmill
