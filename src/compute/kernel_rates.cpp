#include "cellmill/compute/kernel_rates.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <numbers>
#include <vector>

#include "cellmill/compute/moments.hpp"
#include "cellmill/compute/normalise.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill {

namespace {

struct Segment {
  std::int32_t n_cols = 0;
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> values;

  [[nodiscard]] CsrView view() const { return {indptr, indices, values, n_cols}; }
};

double density_of_rank(std::int64_t rank) {
  constexpr double kHottest = 0.71;
  constexpr double kHalfRank = 66.8;
  return kHottest / (1 + static_cast<double>(rank) / kHalfRank);
}

/// Which rank of density a gene has: ranks are spread over the genes.
std::vector<double> spread_densities(std::int32_t n_genes, double total) {
  const CounterRng rng(1, 0);
  std::vector<std::int32_t> order(static_cast<std::size_t>(n_genes));
  for (std::int32_t g = 0; g < n_genes; ++g) order[static_cast<std::size_t>(g)] = g;
  for (std::int32_t g = n_genes - 1; g > 0; --g) {
    std::swap(order[static_cast<std::size_t>(g)],
              order[rng.below(static_cast<std::uint64_t>(g), static_cast<std::uint64_t>(g) + 1)]);
  }
  std::vector<double> densities(order.size());
  double sum = 0;
  for (std::size_t g = 0; g < order.size(); ++g) {
    densities[g] = density_of_rank(order[g]);
    sum += densities[g];
  }
  if (total > 0) {
    for (double& density : densities) density = std::min(0.98, density * total / sum);
  }
  return densities;
}

double normal(const CounterRng& rng, std::uint64_t counter) {
  const double radius = std::sqrt(-2 * std::log(1 - rng.uniform(2 * counter)));
  return radius * std::cos(2 * std::numbers::pi * rng.uniform(2 * counter + 1));
}

/// Small counts, most of them 1 to 3.
Segment counts_segment(const std::vector<double>& densities, std::int32_t rows,
                       std::uint64_t seed) {
  constexpr double kDepthSpread = 0.3;
  constexpr double kMoreCounts = 0.3;  // chance of each further count
  const CounterRng depths(seed, 1);
  const CounterRng draws(seed, 2);
  Segment segment;
  segment.n_cols = static_cast<std::int32_t>(densities.size());
  segment.indptr.push_back(0);
  std::uint64_t counter = 0;
  for (std::int32_t row = 0; row < rows; ++row) {
    const double depth = std::exp(kDepthSpread * normal(depths, static_cast<std::uint64_t>(row)) -
                                  kDepthSpread * kDepthSpread / 2);
    for (std::int32_t gene = 0; gene < segment.n_cols; ++gene) {
      const double draw = draws.uniform(counter++);
      const double chance = std::min(0.98, densities[static_cast<std::size_t>(gene)] * depth);
      if (draw >= chance) continue;
      const double count = 1 + std::floor(std::log(draw / chance + 1e-9) / std::log(kMoreCounts));
      segment.indices.push_back(gene);
      segment.values.push_back(static_cast<float>(std::min(count, 50.0)));
    }
    segment.indptr.push_back(static_cast<std::int64_t>(segment.indices.size()));
  }
  return segment;
}

constexpr double kTarget = 3.0;  // v · T / c for a count of one, about

std::vector<double> factors_of(std::int32_t rows, std::uint64_t seed) {
  const CounterRng rng(seed, 3);
  std::vector<double> factors(static_cast<std::size_t>(rows));
  for (std::size_t r = 0; r < factors.size(); ++r) factors[r] = kTarget * (0.5 + rng.uniform(r));
  return factors;
}

Segment log_segment(const std::vector<double>& densities, std::int32_t rows, std::uint64_t seed) {
  Segment segment = counts_segment(densities, rows, seed);
  normalise_log1p(segment.indptr, segment.values, factors_of(rows, seed));
  return segment;
}

/// Best rate of rounds in which every thread runs `work` once.
double best_rate(Arena& arena, const KernelRateOptions& options,
                 const std::function<void(std::int64_t)>& work) {
  using Clock = std::chrono::steady_clock;
  const std::int64_t tasks = arena.threads();
  const auto cells = static_cast<double>(tasks * options.rows);
  double best = 0;
  arena.for_each(tasks, work);  // buffers are made
  const Clock::time_point start = Clock::now();
  do {
    const Clock::time_point before = Clock::now();
    arena.for_each(tasks, work);
    best = std::max(best, cells / std::chrono::duration<double>(Clock::now() - before).count());
  } while (std::chrono::duration<double>(Clock::now() - start).count() < options.seconds);
  return best;
}

std::vector<Segment> log_segments(int count, const std::vector<double>& densities,
                                  std::int32_t rows) {
  std::vector<Segment> segments;
  for (int s = 0; s < count; ++s) {
    segments.push_back(log_segment(densities, rows, static_cast<std::uint64_t>(s) + 10));
  }
  return segments;
}

}  // namespace

double gram_rate(Arena& arena, const Backend& backend, const KernelRateOptions& options) {
  const std::vector<double> densities = spread_densities(options.n_genes, 0);
  const std::vector<Segment> segments = log_segments(arena.threads(), densities, options.rows);
  GramOptions gram_options;
  gram_options.n_cells = std::int64_t{1} << 40;  // a measurement has no end that is known
  gram_options.density = densities;
  gram_options.max_abs.assign(densities.size(), 0.0);
  gram_options.shift.assign(densities.size(), 0.0);
  for (const Segment& segment : segments) {
    for (std::size_t k = 0; k < segment.values.size(); ++k) {
      const auto gene = static_cast<std::size_t>(segment.indices[k]);
      const auto value = static_cast<double>(segment.values[k]);
      gram_options.max_abs[gene] = std::max(gram_options.max_abs[gene], value);
      gram_options.shift[gene] += value / (options.rows * static_cast<double>(segments.size()));
    }
  }
  const std::unique_ptr<GramAccumulator> gram = backend.make_gram(gram_options);
  return best_rate(arena, options, [&](std::int64_t task) {
    gram->add(segments[static_cast<std::size_t>(task)].view());
  });
}

double projection_rate(Arena& arena, const Backend& backend, const KernelRateOptions& options) {
  const std::vector<double> densities = spread_densities(options.n_genes, 0);
  const std::vector<Segment> segments = log_segments(arena.threads(), densities, options.rows);
  const CounterRng rng(4, 4);
  std::vector<double> loadings(densities.size() * static_cast<std::size_t>(options.n_components));
  for (std::size_t i = 0; i < loadings.size(); ++i) loadings[i] = 0.1 * (rng.uniform(i) - 0.5);
  const std::vector<double> offset(static_cast<std::size_t>(options.n_components), 0.5);
  const std::unique_ptr<Projector> projector =
      backend.make_projector(loadings, options.n_genes, options.n_components, offset);
  std::vector<std::vector<float>> out(
      segments.size(), std::vector<float>(static_cast<std::size_t>(options.rows) * offset.size()));
  return best_rate(arena, options, [&](std::int64_t task) {
    const auto at = static_cast<std::size_t>(task);
    projector->project(segments[at].view(), out[at]);
  });
}

double moments_rate(Arena& arena, const KernelRateOptions& options) {
  const std::vector<double> densities = spread_densities(options.n_all_genes, options.raw_nonzeros);
  constexpr int kFractionBits = 96;
  GeneSums sums(options.n_all_genes, kFractionBits);
  std::vector<Segment> segments;
  std::vector<SegmentMoments> moments;
  for (int task = 0; task < arena.threads(); ++task) {
    segments.push_back(
        counts_segment(densities, options.rows, static_cast<std::uint64_t>(task) + 20));
    moments.emplace_back(options.n_all_genes);
  }
  return best_rate(arena, options, [&](std::int64_t task) {
    const auto at = static_cast<std::size_t>(task);
    std::vector<double> row_sums(static_cast<std::size_t>(options.rows));
    moments[at].add_fractions(segments[at].view(), row_sums);
    sums.add(moments[at].tallies());
    moments[at].clear();
  });
}

double normalise_rate(Arena& arena, const KernelRateOptions& options) {
  const std::vector<double> densities = spread_densities(options.n_genes, 0);
  const std::vector<double> factors = factors_of(options.rows, 30);
  std::vector<Segment> counts;
  for (int task = 0; task < arena.threads(); ++task) {
    counts.push_back(
        counts_segment(densities, options.rows, static_cast<std::uint64_t>(task) + 30));
  }
  std::vector<std::vector<float>> values(counts.size());
  return best_rate(arena, options, [&](std::int64_t task) {
    const auto at = static_cast<std::size_t>(task);
    values[at] = counts[at].values;
    normalise_log1p(counts[at].indptr, values[at], factors);
  });
}

double eigen_seconds(std::int64_t n, std::int64_t k, EigenMethod method) {
  // A few strong directions over a slowly falling rest, as single-cell covariances have.
  constexpr std::int64_t kDirections = 50;
  const CounterRng rng(5, 5);
  const auto size = static_cast<std::size_t>(n);
  std::vector<double> matrix(size * size, 0.0);
  std::vector<double> direction(size);
  for (std::int64_t d = 0; d < kDirections; ++d) {
    for (std::size_t i = 0; i < size; ++i) {
      direction[i] = rng.uniform(static_cast<std::uint64_t>(d) * size + i) - 0.5;
    }
    const double weight = 1.0 / static_cast<double>(1 + d);
    for (std::size_t i = 0; i < size; ++i) {
      for (std::size_t j = 0; j < size; ++j) {
        matrix[i * size + j] += weight * direction[i] * direction[j];
      }
    }
  }
  for (std::size_t i = 0; i < size; ++i) {
    matrix[i * size + i] += 1 + 10 * std::pow(density_of_rank(static_cast<std::int64_t>(i)), 2);
  }
  const auto start = std::chrono::steady_clock::now();
  const EigenPairs pairs = largest_eigenpairs(matrix, n, k, method);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace cellmill
