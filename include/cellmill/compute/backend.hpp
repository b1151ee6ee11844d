#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/compute/csr_view.hpp"
#include "cellmill/core/cpu_level.hpp"

namespace cellmill {

/// How a Gram matrix is accumulated without rounding that depends on order: per segment in floating
/// point, over segments in int64, entry (i, j) scaled by 2^(e_i + e_j) (docs/numerics.md, "Gram
/// matrix").
struct GramOptions {
  /// Largest |value| of each gene over all cells and ranks; what comes in must not exceed it (by
  /// more than a millionth: values were rounded to float since).
  std::vector<double> max_abs;
  /// Cells that will be added over all ranks, at most; adding more is an error.
  std::int64_t n_cells = 0;
  /// About each gene's mean over all cells: subtracted inside the kernels so that single precision
  /// loses nothing. Any numbers give the right result; good ones give a more exact one. Empty means
  /// zeros. The same on every rank.
  std::vector<double> shift;
  /// About the fraction of cells in which each gene is not zero: decides which genes count as hot
  /// (speed only, but the bits depend on it, so the same on every rank). Empty: none is hot.
  std::vector<double> density;
};

/// The sum over cells of outer products, and of values. Thread-safe: many segments may be added at
/// once.
class GramAccumulator {
 public:
  GramAccumulator() = default;
  GramAccumulator(const GramAccumulator&) = delete;
  GramAccumulator& operator=(const GramAccumulator&) = delete;
  virtual ~GramAccumulator() = default;

  /// Adds the rows of one segment (at most 2,000; all at once or not at all).
  /// \throws Error(input) if a value is not finite or above max_abs
  virtual void add(const CsrView& segment) = 0;

  /// The exact integer state, for an all-reduce and for checkpoints: the same length on every rank.
  /// Call when no add is running.
  [[nodiscard]] virtual std::span<std::int64_t> state() = 0;

  /// From the (reduced) state: covariance with ddof 1, n × n, row-major, both triangles; and the
  /// means, n. \param n_cells the number of cells that were added over all ranks, ≥ 2
  struct Covariance {
    std::vector<double> matrix;
    std::vector<double> means;
  };
  [[nodiscard]] virtual Covariance covariance(std::int64_t n_cells) const = 0;

  /// Bytes it holds, and bytes more that each concurrent add takes.
  [[nodiscard]] virtual std::int64_t state_bytes() const = 0;
  [[nodiscard]] virtual std::int64_t scratch_bytes() const = 0;
};

/// Cells times loadings. Thread-safe, and the same bits whatever rows are given together.
class Projector {
 public:
  Projector() = default;
  Projector(const Projector&) = delete;
  Projector& operator=(const Projector&) = delete;
  virtual ~Projector() = default;
  /// out[r, c] = Σ_g value[r, g] · loadings[g, c] − offset[c]; out is rows × k, row-major.
  virtual void project(const CsrView& rows, std::span<float> out) const = 0;
};

/// Where kernels run. The CPU here; CUDA behind the same interface.
class Backend {
 public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;
  [[nodiscard]] virtual std::string name() const = 0;  ///< `cpu (avx512)`
  [[nodiscard]] virtual std::unique_ptr<GramAccumulator> make_gram(
      const GramOptions& options) const = 0;
  /// \param loadings n_genes × k, row-major; offset k numbers (means · loadings)
  [[nodiscard]] virtual std::unique_ptr<Projector> make_projector(
      std::span<const double> loadings, std::int32_t n_genes, std::int32_t k,
      std::span<const double> offset) const = 0;
};

/// \throws Error(input) if this processor lacks the level
[[nodiscard]] std::unique_ptr<Backend> make_cpu_backend(CpuLevel level = CpuLevel::best);

}  // namespace cellmill
