#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "simulate/population.hpp"

namespace cellmill::simulation {
namespace {

constexpr double kLeastDepth = 1;
constexpr double kGreatestDepth = 400'000;

/// A gene with m expected counts is there with probability 1 − e^−m.
double presence(double expected_counts) { return -std::expm1(-expected_counts); }

/// Non-zeros that the background leaves, on a grid of log counts, and by straight lines between.
class BackgroundNonzeros {
 public:
  explicit BackgroundNonzeros(const std::vector<double>& weights) {
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    for (std::size_t i = 0; i < kPoints; ++i) {
      const double counts = std::exp(static_cast<double>(i) * kStep);
      double nonzeros = 0;
      for (const double weight : weights) {
        if (weight > 0) nonzeros += presence(counts * weight / total);
      }
      at_.push_back(nonzeros);
    }
  }

  [[nodiscard]] double operator()(double counts) const {
    const double position = std::clamp(std::log(std::max(counts, 1.0)) / kStep, 0.0, kEnd);
    const auto below = static_cast<std::size_t>(position);
    const double weight = position - static_cast<double>(below);
    return at_[below] * (1 - weight) + at_[below + 1] * weight;
  }

 private:
  static constexpr std::size_t kPoints = 73;
  static constexpr double kStep = 0.25;  // up to e^18 counts: any depth with its spread
  static constexpr double kEnd = static_cast<double>(kPoints) - 1.001;
  std::vector<double> at_;
};

/// Non-zeros of a programme in a cell of `counts` counts. The background is left out: it hardly has
/// the genes of programmes.
double programme_nonzeros(const Programme& programme, double share, double counts) {
  const double total = std::accumulate(programme.counts.begin(), programme.counts.end(), 0.0);
  double nonzeros = 0;
  for (const double part : programme.counts) nonzeros += presence(counts * share * part / total);
  return nonzeros;
}

/// Mean over cells of a programme's share and of its non-zeros.
struct Added {
  double share = 0;
  double nonzeros = 0;
};

/// \param cumulative how many of the cells have one of the programmes up to each
Added mean_added(const std::vector<Programme>& programmes, const std::vector<double>& cumulative,
                 double median, double counts) {
  Added mean;
  for (std::size_t i = 0; i < programmes.size(); ++i) {
    const double share = programme_share(programmes[i], median);
    const double cells = cumulative[i] - (i == 0 ? 0 : cumulative[i - 1]);
    mean.share += cells * share;
    mean.nonzeros += cells * programme_nonzeros(programmes[i], share, counts);
  }
  return mean;
}

/// Mean non-zeros of the cells of all plates, if the median cell has `median` counts.
double mean_nonzeros(const Population& population, const BackgroundNonzeros& background,
                     const SimulateOptions& options, double median) {
  // The spread over plates is small and alike on both sides; a few plates tell enough.
  const std::int32_t plates = std::min(options.plates, 16);
  std::vector<double> drug_abundance;  // as if all were as frequent
  for (std::size_t i = 1; i <= population.drugs.size(); ++i) {
    drug_abundance.push_back(static_cast<double>(i) / static_cast<double>(population.drugs.size()));
  }
  const double mitochondrial =
      kMitochondrialShare * std::exp(kMitochondrialSigma * kMitochondrialSigma / 2);
  double sum = 0;
  double weights = 0;
  for (std::int32_t plate = 0; plate < plates; ++plate) {
    for (double z = -4; z <= 4; z += 0.5) {
      const double counts = median * plate_depth(options, plate) * std::exp(kDepthSigma * z);
      const Added lines = mean_added(population.lines, population.line_abundance, median, counts);
      const Added drugs = mean_added(population.drugs, drug_abundance, median, counts);
      const double rest = 1 - lines.share - drugs.share - mitochondrial;
      const double weight = std::exp(-z * z / 2);
      weights += weight;
      sum += weight * (background(counts * rest) + lines.nonzeros + drugs.nonzeros +
                       programme_nonzeros(population.mitochondrial, mitochondrial, counts));
    }
  }
  return sum / weights;
}

}  // namespace

double calibrated_depth(const Population& population, const SimulateOptions& options) {
  const BackgroundNonzeros background(population.background);
  const auto nonzeros = [&](double log_median) {
    return mean_nonzeros(population, background, options, std::exp(log_median));
  };
  double low = std::log(kLeastDepth);
  double high = std::log(kGreatestDepth);
  if (const double most = nonzeros(high); options.nnz > most) {
    throw input_error(
        fmt::format("{} non-zeros a cell can't be had from {} genes, of which nearly half are "
                    "silent: {} at most",
                    options.nnz, options.genes, std::floor(most)));
  }
  for (int i = 0; i < 16; ++i) {
    const double middle = (low + high) / 2;
    (nonzeros(middle) < options.nnz ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

}  // namespace cellmill::simulation
