#include "cellmill/compute/exact_sum.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

TEST(ExactSums, AddsWithoutLosingSmallTerms) {
  ExactSums sums(2, 96);
  sums.add(std::vector<double>{1.0, -0.5});
  sums.add(std::vector<double>{0x1p-90, 0.25});
  sums.add(std::vector<double>{-1.0, 0.0});
  EXPECT_EQ(sums.value(0), 0x1p-90);
  EXPECT_EQ(sums.value(1), -0.25);
}

TEST(ExactSums, RoundsToHalfAUnitAtMost) {
  ExactSums sums(4, 96);
  sums.add(std::vector<double>{0x1p-97, 0x1p-98, -0x1p-97, 0x1.8p-96});
  EXPECT_EQ(sums.value(0), 0x1p-96);
  EXPECT_EQ(sums.value(1), 0.0);
  EXPECT_EQ(sums.value(2), -0x1p-96);
  EXPECT_EQ(sums.value(3), 0x1p-95);
}

TEST(ExactSums, AreTheSameBitsInAnyOrder) {
  const CounterRng rng(1, 1);
  std::vector<double> numbers(10000);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = std::ldexp(rng.uniform(i) - 0.3, static_cast<int>(rng.bits(i + 20000) % 60) - 50);
  }
  ExactSums forward(1, 80);
  ExactSums backward(1, 80);
  for (const double number : numbers) forward.add({&number, 1});
  std::reverse(numbers.begin(), numbers.end());
  for (const double number : numbers) backward.add({&number, 1});
  EXPECT_EQ(forward.limbs(), backward.limbs());
  EXPECT_EQ(forward.value(0), backward.value(0));
}

TEST(ExactSums, SurviveAnAllReduceOfLimbs) {
  ExactSums a(3, 96);
  ExactSums b(3, 96);
  ExactSums both(3, 96);
  const std::vector<double> x{0.7, -123456.789, 1e-20};
  const std::vector<double> y{0.9, 23456.1, -3e-20};
  a.add(x);
  b.add(y);
  both.add(x);
  both.add(y);
  std::vector<std::int64_t> reduced = a.limbs();
  const std::vector<std::int64_t> other = b.limbs();
  for (std::size_t i = 0; i < reduced.size(); ++i) reduced[i] += other[i];
  ExactSums result(3, 96);
  result.from_limbs(reduced);
  EXPECT_EQ(result.limbs(), both.limbs());
  EXPECT_EQ(result.values(), both.values());
  a.add(b);
  EXPECT_EQ(a.limbs(), both.limbs());
}

TEST(ExactSums, AddFromAnOffset) {
  ExactSums sums(4, 96);
  sums.add(std::vector<double>{1, 2}, 2);
  EXPECT_THAT(sums.values(), testing::ElementsAre(0, 0, 1, 2));
  EXPECT_THROW(sums.add(std::vector<double>{1, 2}, 3), Error);
  EXPECT_THROW(sums.add(std::vector<double>{1}, -1), Error);
}

TEST(ExactSums, OfNothingAreNothing) {
  ExactSums sums(0, 96);
  sums.add(std::vector<double>{});
  EXPECT_TRUE(sums.values().empty());
  EXPECT_TRUE(sums.limbs().empty());
}

TEST(ExactSums, RefuseWhatIsNotFiniteOrTooLarge) {
  ExactSums sums(1, 96);
  for (const double bad : {std::numeric_limits<double>::quiet_NaN(),
                           std::numeric_limits<double>::infinity(), 0x1p31, -0x1p40}) {
    EXPECT_THROW(sums.add({&bad, 1}), Error) << bad;
  }
  const double large = 0x1.fp30;
  sums.add({&large, 1});
  EXPECT_THROW(sums.add({&large, 1}), Error);
}

TEST(ExactSums, RefuseReducedLimbsOutOfRange) {
  ExactSums sums(1, 96);
  EXPECT_THROW(sums.from_limbs(std::vector<std::int64_t>{0, 0, 0, std::int64_t{1} << 31}), Error);
  EXPECT_THROW(sums.from_limbs(std::vector<std::int64_t>{0, 0, 0}), Error);
}

TEST(ExactSums, HoldOneSquareBesideMillions) {
  ExactSums sums(1, 96);
  const double tiny = 1.0 / 50000 / 50000;
  const double one = 1.0;
  for (int i = 0; i < 1000; ++i) sums.add({&one, 1});
  sums.add({&tiny, 1});
  for (int i = 0; i < 1000; ++i) {
    const double minus = -one;
    sums.add({&minus, 1});
  }
  EXPECT_NEAR(sums.value(0) / tiny, 1, 1e-15);
}

}  // namespace
}  // namespace cellmill
