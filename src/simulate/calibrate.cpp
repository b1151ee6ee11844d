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

/// Mean non-zeros of cells with a given number of counts, over lines and drugs, on a grid of log
/// counts.
class NonzerosByDepth {
 public:
  explicit NonzerosByDepth(const Population& population) {
    const double total =
        std::accumulate(population.background.begin(), population.background.end(), 0.0);
    for (const double weight : population.background) {
      background_.push_back(total > 0 ? weight / total : 0);
    }
    for (std::size_t i = 0; i < kPoints; ++i) at_.push_back(exact(population, std::exp(log_at(i))));
  }

  /// Between grid points by straight lines.
  [[nodiscard]] double operator()(double log_depth) const {
    const double position = std::clamp((log_depth - log_at(0)) / kStep, 0.0, kPoints - 1.001);
    const auto below = static_cast<std::size_t>(position);
    const double weight = position - static_cast<double>(below);
    return at_[below] * (1 - weight) + at_[below + 1] * weight;
  }

 private:
  static constexpr std::size_t kPoints = 73;
  static constexpr double kStep = 0.25;  // up to e^18 counts: any depth with its spread
  static double log_at(std::size_t i) { return static_cast<double>(i) * kStep; }

  /// A gene with m expected counts is there with probability 1 − e^−m.
  [[nodiscard]] double exact(const Population& population, double depth) const {
    const auto share_of = [](const std::vector<Programme>& programmes) {
      double sum = 0;
      for (const Programme& programme : programmes) sum += programme.share;
      return sum / static_cast<double>(programmes.size());
    };
    const double background_counts =
        depth * (1 - share_of(population.lines) - share_of(population.drugs) -
                 population.mitochondrial.share);
    double nonzeros = 0;
    for (const double share : background_) nonzeros += -std::expm1(-background_counts * share);
    return nonzeros + mean_added(population.lines, depth, background_counts) +
           mean_added(population.drugs, depth, background_counts) +
           added(population.mitochondrial, depth, background_counts);
  }

  [[nodiscard]] double mean_added(const std::vector<Programme>& programmes, double depth,
                                  double background_counts) const {
    double sum = 0;
    for (const Programme& programme : programmes) sum += added(programme, depth, background_counts);
    return sum / static_cast<double>(programmes.size());
  }

  /// Non-zeros of a programme in genes that the background left at zero.
  [[nodiscard]] double added(const Programme& programme, double depth,
                             double background_counts) const {
    const double total = std::accumulate(programme.weights.begin(), programme.weights.end(), 0.0);
    double nonzeros = 0;
    for (std::size_t i = 0; i < programme.genes.size(); ++i) {
      const double counts = depth * programme.share * programme.weights[i] / total;
      const double background = background_[static_cast<std::size_t>(programme.genes[i])];
      nonzeros += std::exp(-background_counts * background) * -std::expm1(-counts);
    }
    return nonzeros;
  }

  std::vector<double> background_;
  std::vector<double> at_;
};

}  // namespace

double calibrated_depth(const Population& population, const SimulateOptions& options) {
  const NonzerosByDepth nonzeros(population);
  const auto mean_nonzeros = [&](double log_median) {
    double sum = 0;
    double weights = 0;
    for (std::int32_t plate = 0; plate < options.plates; ++plate) {
      const double log_plate = log_median + std::log(plate_depth(options, plate));
      for (double z = -4; z <= 4; z += 0.125) {
        const double weight = std::exp(-z * z / 2);
        sum += weight * nonzeros(log_plate + kDepthSigma * z);
        weights += weight;
      }
    }
    return sum / weights;
  };
  double low = std::log(kLeastDepth);
  double high = std::log(kGreatestDepth);
  if (const double most = mean_nonzeros(high); options.nnz > most) {
    throw input_error(
        fmt::format("{} non-zeros a cell can't be had from {} genes, of which nearly half are "
                    "silent: {} at most",
                    options.nnz, options.genes, std::floor(most)));
  }
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (mean_nonzeros(middle) < options.nnz ? low : high) = middle;
  }
  return std::exp((low + high) / 2);
}

}  // namespace cellmill::simulation
