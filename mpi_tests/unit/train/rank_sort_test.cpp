#include "train/rank_sort.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

void expect_sorted(const std::vector<double>& values) {
  std::vector<std::uint32_t> expected(values.size());
  std::iota(expected.begin(), expected.end(), 0U);
  std::stable_sort(expected.begin(), expected.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return values[a] > values[b]; });
  RankSort sort;
  const auto found = sort.falling(values);
  EXPECT_EQ(std::vector<std::uint32_t>(found.begin(), found.end()), expected);
}

TEST(RankSort, OrdersAsAStableSortDoes) {
  const CounterRng rng(1, 2);
  for (const std::uint64_t size : {0, 1, 2, 3, 100, 5000}) {
    for (const std::uint64_t distinct : {1, 2, 40, 1'000'000}) {
      std::vector<double> values;
      for (std::uint64_t i = 0; i < size; ++i) {
        const double count = 1 + static_cast<double>(rng.below(2 * i, distinct));
        values.push_back(count / (1 + rng.uniform(rng.below(2 * i + 1, 7))));
      }
      expect_sorted(values);
    }
  }
}

TEST(RankSort, TellsApartWhatOneLargeValuePushesTogether) {
  std::vector<double> values;
  const CounterRng rng(3, 4);
  for (std::uint64_t i = 0; i < 3000; ++i) values.push_back(1 + 1e-12 * rng.uniform(i));
  values.push_back(1e300);
  values.push_back(1);
  values.push_back(1e-300);
  expect_sorted(values);
}

TEST(RankSort, TakesNegativeAndExtremeValues) {
  expect_sorted({-1, 2, -3, 0.5, -0.5, 2, std::numeric_limits<double>::denorm_min(),
                 -std::numeric_limits<double>::max(), std::numeric_limits<double>::max(), -1});
}

}  // namespace
}  // namespace cellmill
