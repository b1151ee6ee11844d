#include "cellmill/compute/eigen.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

std::vector<double> random_symmetric(std::int64_t n, std::uint64_t seed) {
  const CounterRng rng(seed, 0);
  const auto size = static_cast<std::size_t>(n);
  std::vector<double> matrix(size * size);
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t j = i; j < size; ++j) {
      matrix[i * size + j] = matrix[j * size + i] = rng.uniform(i * size + j) - 0.5;
    }
  }
  return matrix;
}

/// A v = λ v, unit orthogonal vectors, values descending, largest entry positive.
void expect_eigenpairs(const std::vector<double>& matrix, std::int64_t n, std::int64_t k,
                       const EigenPairs& pairs, double tolerance) {
  const auto size = static_cast<std::size_t>(n);
  const auto count = static_cast<std::size_t>(k);
  ASSERT_EQ(pairs.values.size(), count);
  ASSERT_EQ(pairs.vectors.size(), size * count);
  for (std::size_t c = 0; c < count; ++c) {
    if (c > 0) {
      EXPECT_GE(pairs.values[c - 1], pairs.values[c]);
    }
    double largest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      double product = 0;
      for (std::size_t j = 0; j < size; ++j) {
        product += matrix[i * size + j] * pairs.vectors[j * count + c];
      }
      const double entry = pairs.vectors[i * count + c];
      EXPECT_NEAR(product, pairs.values[c] * entry, tolerance);
      if (std::abs(entry) > std::abs(largest)) largest = entry;
    }
    EXPECT_GT(largest, 0);
    for (std::size_t d = 0; d <= c; ++d) {
      double dot = 0;
      for (std::size_t i = 0; i < size; ++i) {
        dot += pairs.vectors[i * count + c] * pairs.vectors[i * count + d];
      }
      EXPECT_NEAR(dot, c == d ? 1 : 0, 1e-10);
    }
  }
}

class Eigen : public testing::TestWithParam<EigenMethod> {};

TEST_P(Eigen, PairsSolveTheEquation) {
  for (const auto& [n, k] : {std::pair{1, 1}, {2, 1}, {3, 3}, {50, 7}, {50, 50}, {120, 20}}) {
    const std::vector<double> matrix = random_symmetric(n, 3);
    std::vector<double> work = matrix;
    expect_eigenpairs(matrix, n, k, largest_eigenpairs(work, n, k, GetParam()), 1e-9);
  }
}

TEST_P(Eigen, OfTheZeroMatrixAreZeroWithUnitVectors) {
  std::vector<double> matrix(25, 0.0);
  const EigenPairs pairs = largest_eigenpairs(matrix, 5, 3, GetParam());
  expect_eigenpairs(std::vector<double>(25, 0.0), 5, 3, pairs, 1e-12);
}

TEST_P(Eigen, OfRepeatedValuesHaveOrthogonalVectors) {
  constexpr std::int64_t kSize = 30;
  std::vector<double> matrix(kSize * kSize, 0.0);
  for (std::size_t i = 0; i < kSize; ++i) matrix[i * kSize + i] = i < 20 ? 1.0 : 2.0;
  std::vector<double> work = matrix;
  const EigenPairs pairs = largest_eigenpairs(work, kSize, 5, GetParam());
  expect_eigenpairs(matrix, kSize, 5, pairs, 1e-10);
  for (const double value : pairs.values) EXPECT_NEAR(value, 2.0, 1e-12);
}

TEST_P(Eigen, BeyondTheRankAreZero) {
  constexpr std::int64_t kSize = 60;
  std::vector<double> matrix(kSize * kSize, 0.0);
  const CounterRng rng(8, 8);
  for (std::uint64_t d = 0; d < 3; ++d) {
    for (std::size_t i = 0; i < kSize; ++i) {
      for (std::size_t j = 0; j < kSize; ++j) {
        matrix[i * kSize + j] +=
            (rng.uniform(d * kSize + i) - 0.5) * (rng.uniform(d * kSize + j) - 0.5);
      }
    }
  }
  std::vector<double> work = matrix;
  const EigenPairs pairs = largest_eigenpairs(work, kSize, 8, GetParam());
  expect_eigenpairs(matrix, kSize, 8, pairs, 1e-10);
  EXPECT_GT(pairs.values[2], 0.1);
  for (std::size_t c = 3; c < 8; ++c) EXPECT_NEAR(pairs.values[c], 0, 1e-12);
}

TEST_P(Eigen, AreTheSameBitsEachTime) {
  const std::vector<double> matrix = random_symmetric(200, 9);
  std::vector<double> first = matrix;
  std::vector<double> second = matrix;
  const EigenPairs a = largest_eigenpairs(first, 200, 15, GetParam());
  const EigenPairs b = largest_eigenpairs(second, 200, 15, GetParam());
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.vectors, b.vectors);
}

INSTANTIATE_TEST_SUITE_P(Methods, Eigen,
                         testing::Values(EigenMethod::lapack, EigenMethod::spectra,
                                         EigenMethod::automatic),
                         [](const auto& info) {
                           return info.param == EigenMethod::lapack    ? "lapack"
                                  : info.param == EigenMethod::spectra ? "spectra"
                                                                       : "automatic";
                         });

TEST(EigenMethods, Agree) {
  std::vector<double> a = random_symmetric(150, 11);
  std::vector<double> b = a;
  const EigenPairs lapack = largest_eigenpairs(a, 150, 10, EigenMethod::lapack);
  const EigenPairs spectra = largest_eigenpairs(b, 150, 10, EigenMethod::spectra);
  for (std::size_t c = 0; c < 10; ++c) EXPECT_NEAR(lapack.values[c], spectra.values[c], 1e-11);
  for (std::size_t i = 0; i < lapack.vectors.size(); ++i) {
    EXPECT_NEAR(lapack.vectors[i], spectra.vectors[i], 1e-8);
  }
}

TEST(EigenArguments, AreChecked) {
  std::vector<double> matrix(4, 1.0);
  EXPECT_THROW((void)largest_eigenpairs(matrix, 2, 0), Error);
  EXPECT_THROW((void)largest_eigenpairs(matrix, 2, 3), Error);
  EXPECT_THROW((void)largest_eigenpairs(matrix, 3, 1), Error);
  EXPECT_THROW((void)largest_eigenpairs({}, 0, 0), Error);
  matrix[1] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THROW((void)largest_eigenpairs(matrix, 2, 1), Error);
  matrix[1] = std::numeric_limits<double>::infinity();
  EXPECT_THROW((void)largest_eigenpairs(matrix, 2, 1), Error);
}

}  // namespace
}  // namespace cellmill
