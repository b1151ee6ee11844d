#include "analysis/median.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cellmill/core/random.hpp"
#include "cellmill/core/ranges.hpp"

namespace cellmill {
namespace {

double plain_median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !(v > 0); });
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

std::vector<double> medians(const std::vector<double>& values,
                            const std::vector<std::int32_t>& group, std::int32_t n, int ranks) {
  std::vector<double> result;
  run_as_threads(ranks, [&](Communicator& comm) {
    const Range part = even_part(static_cast<std::int64_t>(values.size()), ranks, comm.rank());
    const auto begin = static_cast<std::size_t>(part.begin);
    const auto size = static_cast<std::size_t>(part.size());
    auto mine = medians_of_positive(std::span(values).subspan(begin, size),
                                    std::span(group).subspan(begin, size), n, comm);
    if (comm.rank() == 0) result = std::move(mine);
  });
  return result;
}

TEST(Median, EqualsSortingOnAnyRanks) {
  const CounterRng rng(5, 0);
  for (const std::size_t n : {0U, 1U, 2U, 3U, 100U, 1001U}) {
    std::vector<double> values(n);
    std::vector<std::int32_t> group(n);
    std::vector<std::vector<double>> of_group(3);
    for (std::size_t i = 0; i < n; ++i) {
      values[i] = i % 10 == 4 ? 0.0 : std::exp(20 * rng.uniform(i) - 10);
      if (i % 7 == 0) values[i] = 4400;
      group[i] = static_cast<std::int32_t>(rng.below(i, 2));  // the third group stays empty
      of_group[static_cast<std::size_t>(group[i])].push_back(values[i]);
    }
    for (const int ranks : {1, 2, 3, 4}) {
      const std::vector<double> found = medians(values, group, 3, ranks);
      for (std::size_t g = 0; g < 3; ++g)
        EXPECT_DOUBLE_EQ(found[g], plain_median(of_group[g])) << n << ' ' << ranks;
    }
  }
}

TEST(Median, IgnoresEmptyCells) {
  EXPECT_EQ(medians({0, 0, 0, 5, 7, 9}, {0, 0, 0, 0, 0, 0}, 1, 1), std::vector<double>{7});
  EXPECT_EQ(medians({0, 0}, {0, 0}, 1, 1), std::vector<double>{0});
}

}  // namespace
}  // namespace cellmill
