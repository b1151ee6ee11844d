#include "train/keyed_permutation.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <vector>

namespace cellmill {
namespace {

TEST(KeyedPermutation, HasEachNumberOnceAndFindsItAgain) {
  for (const std::uint64_t n : {1ULL, 2ULL, 3ULL, 4ULL, 5ULL, 64ULL, 65ULL, 1'000ULL}) {
    const KeyedPermutation permutation(n, 7, 3);
    std::vector<int> seen(n, 0);
    for (std::uint64_t place = 0; place < n; ++place) {
      const std::uint64_t number = permutation.at(place);
      ASSERT_LT(number, n);
      ++seen[number];
      EXPECT_EQ(permutation.place_of(number), place);
    }
    EXPECT_EQ(seen, std::vector<int>(n, 1));
  }
}

TEST(KeyedPermutation, WorksBeyond32Bits) {
  const std::uint64_t n = 5'000'000'000'123ULL;
  const KeyedPermutation permutation(n, 7, 3);
  for (const std::uint64_t place : {std::uint64_t{0}, n / 3, n - 1}) {
    ASSERT_LT(permutation.at(place), n);
    EXPECT_EQ(permutation.place_of(permutation.at(place)), place);
  }
}

/// Squares of what counts differ from even ones by, as standard deviations of a chi-square.
double chi_square_score(const std::vector<std::int64_t>& counts) {
  double total = 0;
  for (const std::int64_t count : counts) total += static_cast<double>(count);
  const double even = total / static_cast<double>(counts.size());
  double sum = 0;
  for (const std::int64_t count : counts) {
    sum += (static_cast<double>(count) - even) * (static_cast<double>(count) - even) / even;
  }
  const auto freedom = static_cast<double>(counts.size() - 1);
  return (sum - freedom) / std::sqrt(2 * freedom);
}

TEST(KeyedPermutation, PutsEveryNumberInEveryPlaceAlikeOverEpochs) {
  for (const std::uint64_t n : {2ULL, 3ULL, 5ULL, 17ULL, 40ULL, 64ULL}) {
    std::vector<std::int64_t> counts(n * n, 0);
    for (std::uint64_t epoch = 0; epoch < 20'000; ++epoch) {
      const KeyedPermutation permutation(n, 11, epoch);
      for (std::uint64_t place = 0; place < n; ++place) ++counts[place * n + permutation.at(place)];
    }
    EXPECT_LT(chi_square_score(counts), 5) << n;
  }
}

TEST(KeyedPermutation, FindsAllOrdersOfAFewAlike) {
  for (const std::uint64_t n : {3ULL, 4ULL, 5ULL}) {
    std::map<std::vector<std::uint64_t>, std::int64_t> found;
    std::size_t orders = 1;
    for (std::uint64_t i = 2; i <= n; ++i) orders *= i;
    for (std::uint64_t epoch = 0; epoch < 60'000; ++epoch) {
      const KeyedPermutation permutation(n, 5, epoch);
      std::vector<std::uint64_t> order;
      for (std::uint64_t place = 0; place < n; ++place) order.push_back(permutation.at(place));
      ++found[order];
    }
    ASSERT_EQ(found.size(), orders);
    std::vector<std::int64_t> counts;
    for (const auto& [order, count] : found) counts.push_back(count);
    EXPECT_LT(chi_square_score(counts), 5) << n;
  }
}

TEST(KeyedPermutation, LeavesNoTraceOfNeighbours) {
  // Distances between the numbers of neighbouring places, in 64 classes, against those of draws.
  const std::uint64_t n = 1'000'000;
  const KeyedPermutation permutation(n, 3, 9);
  std::vector<std::int64_t> counts(64, 0);
  for (std::uint64_t place = 0; place + 1 < n; ++place) {
    const std::uint64_t step = (permutation.at(place + 1) + n - permutation.at(place)) % n;
    ++counts[step * 64 / n];
  }
  EXPECT_LT(chi_square_score(counts), 5);
}

}  // namespace
}  // namespace cellmill
