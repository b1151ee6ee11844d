#include "train/value_bins.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

/// numpy's quantile of sorted values.
double quantile(const std::vector<float>& sorted, double q) {
  const double place = static_cast<double>(sorted.size() - 1) * q;
  const auto below = static_cast<std::size_t>(std::floor(place));
  const auto low = static_cast<double>(sorted[below]);
  const auto high = static_cast<double>(sorted[std::min(below + 1, sorted.size() - 1)]);
  const double t = place - std::floor(place);
  return t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t;
}

/// The definition, a value at a time.
std::vector<float> plain_bins(const std::vector<float>& values, int bins,
                              const std::vector<std::uint64_t>& draws) {
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> edges;
  for (int k = 0; k + 1 < bins; ++k) {
    const double step = bins > 2 ? 1.0 / (bins - 2) : 0;
    edges.push_back(quantile(sorted, k > 0 && k + 2 == bins ? 1.0 : k * step));
  }
  std::vector<float> found;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<double>(values[i]);
    const auto count = [&](auto&& is) { return std::count_if(edges.begin(), edges.end(), is); };
    const auto left = static_cast<std::uint64_t>(count([&](double e) { return e <= value; }));
    const auto right = static_cast<std::uint64_t>(count([&](double e) { return e < value; }));
    const std::uint64_t bin =
        left == right ? left : right + 1 + (((draws[i] >> 44) * (left - right)) >> 20);
    found.push_back(static_cast<float>(bin));
  }
  return found;
}

TEST(ValueBins, AreWhatTheDefinitionGivesCellAfterCell) {
  const CounterRng rng(3, 1);
  ValueBins bins;  // the same buffers for cells of all kinds
  std::uint64_t at = 0;
  for (const std::uint64_t size : {1, 2, 3000, 5, 700, 1, 4000, 50}) {
    for (const std::uint64_t distinct : {1, 3, 40, 600, 100'000}) {
      std::vector<float> values;
      std::vector<std::uint64_t> draws;
      for (std::uint64_t i = 0; i < size; ++i) {
        const auto whole = static_cast<float>(1 + rng.below(++at, distinct));
        values.push_back(i % 9 == 8 ? -whole : std::log1p(whole));
        draws.push_back(rng.bits(++at));
      }
      for (const int n_bins : {2, 3, 51, 5000}) {
        std::vector<float> found(values.size());
        bins.bin(values, n_bins, draws, found);
        EXPECT_EQ(found, plain_bins(values, n_bins, draws))
            << size << " values of " << distinct << ", " << n_bins << " bins";
      }
    }
  }
}

}  // namespace
}  // namespace cellmill
