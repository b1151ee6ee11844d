#include "cellmill/compute/normalise.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "cellmill/core/error.hpp"
#include "matrices.hpp"

namespace cellmill {
namespace {

TEST(Normalise, IsTheRoundedDouble) {
  const std::vector<std::int64_t> indptr{5, 9, 9, 14};
  const std::vector<float> counts{1, 2, 1, 255, 1, 256, 70000, 0.5F, 0};
  const std::vector<double> factors{0.37, 1.0, 123.456};
  std::vector<float> values = counts;
  normalise_log1p(indptr, values, factors);
  for (std::size_t k = 0; k < counts.size(); ++k) {
    const double factor = k < 4 ? factors[0] : factors[2];
    EXPECT_EQ(values[k], static_cast<float>(std::log1p(static_cast<double>(counts[k]) * factor)));
  }
}

TEST(Normalise, RemembersNothingOfTheRowBefore) {
  constexpr std::size_t kRows = 1000;
  std::vector<std::int64_t> indptr;
  std::vector<double> factors;
  for (std::size_t r = 0; r <= kRows; ++r) indptr.push_back(static_cast<std::int64_t>(r));
  for (std::size_t r = 0; r < kRows; ++r) factors.push_back(0.01 * static_cast<double>(r + 1));
  std::vector<float> values(kRows, 3.0F);
  normalise_log1p(indptr, values, factors);
  for (std::size_t r = 0; r < kRows; ++r) {
    EXPECT_EQ(values[r], static_cast<float>(std::log1p(3 * factors[r])));
  }
}

TEST(Normalise, OfNothingIsNothing) {
  normalise_log1p({}, {}, {});
  normalise_log1p(std::vector<std::int64_t>{0}, {}, {});
}

TEST(Normalise, RefusesTheWrongNumberOfFactors) {
  std::vector<float> values(1);
  EXPECT_THROW(
      normalise_log1p(std::vector<std::int64_t>{0, 1}, values, std::vector<double>{1.0, 2.0}),
      Error);
}

}  // namespace
}  // namespace cellmill
