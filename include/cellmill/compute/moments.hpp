#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "cellmill/compute/csr_view.hpp"
#include "cellmill/compute/exact_sum.hpp"
#include "cellmill/compute/gene_tally.hpp"
#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

/// Per-gene tallies of one segment, summed in double cell by cell in the order given: that is their
/// numeric definition, the same bits at every CPU level. One for each concurrent task, used again
/// after `clear`. Not thread-safe.
class SegmentMoments {
 public:
  explicit SegmentMoments(std::int32_t n_genes, CpuLevel level = CpuLevel::best);

  /// Adds x = v / c, c being the cell's own sum, which is written to `row_sums` (in double). Reads
  /// the values once. \throws Error(input) naming the row (counted from the view's first) and the
  /// gene of a value that is negative or not finite; the tallies are then to be cleared
  void add_fractions(const CsrView& rows, std::span<double> row_sums);

  /// Adds x = v · factor of the cell. \param factors one positive number a row
  void add_scaled(const CsrView& rows, std::span<const double> factors);

  /// Adds x = log1p(v · factor of the cell), in double.
  void add_log1p(const CsrView& rows, std::span<const double> factors);

  [[nodiscard]] std::span<const GeneTally> tallies() const { return tallies_; }
  void clear();
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(tallies_.size() * sizeof(GeneTally));
  }

 private:
  std::vector<GeneTally> tallies_;
  CpuLevel level_;
};

/// Sum of each row's values, in double. \throws Error(input) as SegmentMoments::add_fractions does
[[nodiscard]] std::vector<double> row_sums(const CsrView& rows);

/// Per-gene sums over all cells of a batch: exact, so the same bits in any order of segments and
/// for any number of ranks. `add` is thread-safe.
class GeneSums {
 public:
  /// \param fraction_bits as for ExactSums: 96 for fractions, 80 for log values
  GeneSums(std::int32_t n_genes, int fraction_bits);

  /// Adds one segment's tallies.
  void add(std::span<const GeneTally> tallies);

  [[nodiscard]] std::int32_t n_genes() const { return n_genes_; }
  [[nodiscard]] std::vector<double> sums() const { return sums_.values(); }
  [[nodiscard]] std::vector<double> sums_of_squares() const { return squares_.values(); }
  [[nodiscard]] std::span<const std::int64_t> counts() const { return counts_; }

  /// Everything but the maxima as integers, for an all-reduce (sum) and for checkpoints;
  /// `from_integers` puts reduced ones back.
  [[nodiscard]] std::vector<std::int64_t> integers() const;
  void from_integers(std::span<const std::int64_t> integers);
  /// Largest x of each gene: for an all-reduce (maximum), in place.
  [[nodiscard]] std::span<double> maxima() { return maxima_; }
  [[nodiscard]] std::span<const double> maxima() const { return maxima_; }

  /// Bytes that one of n_genes holds.
  [[nodiscard]] static std::int64_t bytes(std::int32_t n_genes);

 private:
  // Segments are added band by band of genes, each starting elsewhere, so that threads seldom wait
  // for one another.
  static constexpr std::int32_t kBand = 1024;

  std::int32_t n_genes_;
  ExactSums sums_;
  ExactSums squares_;
  std::vector<std::int64_t> counts_;
  std::vector<double> maxima_;
  std::unique_ptr<std::mutex[]> bands_;
  std::atomic<std::uint32_t> next_start_{0};
};

}  // namespace cellmill
