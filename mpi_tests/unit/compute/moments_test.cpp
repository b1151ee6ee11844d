#include "cellmill/compute/moments.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/parallel.hpp"
#include "matrices.hpp"

namespace cellmill {
namespace {

using test::Csr;
using testing::HasSubstr;

enum class Scaling { fractions, scaled, logs };

std::vector<GeneTally> oracle(const Csr& matrix, const std::vector<double>& factors,
                              Scaling scaling) {
  std::vector<GeneTally> tallies(static_cast<std::size_t>(matrix.n_cols));
  for (std::size_t r = 0; r + 1 < matrix.indptr.size(); ++r) {
    for (std::int64_t k = matrix.indptr[r]; k < matrix.indptr[r + 1]; ++k) {
      const auto at = static_cast<std::size_t>(k);
      const double scaled = static_cast<double>(matrix.values[at]) * factors[r];
      const double x = scaling == Scaling::logs ? std::log1p(scaled) : scaled;
      GeneTally& tally = tallies[static_cast<std::size_t>(matrix.indices[at])];
      tally.sum += x;
      tally.sum_squares += x * x;
      tally.max = std::max(tally.max, x);
      tally.count += matrix.values[at] != 0 ? 1 : 0;
    }
  }
  return tallies;
}

void expect_equal(std::span<const GeneTally> found, const std::vector<GeneTally>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t g = 0; g < found.size(); ++g) {
    EXPECT_EQ(found[g].sum, expected[g].sum) << "gene " << g;
    EXPECT_EQ(found[g].sum_squares, expected[g].sum_squares) << "gene " << g;
    EXPECT_EQ(found[g].max, expected[g].max) << "gene " << g;
    EXPECT_EQ(found[g].count, expected[g].count) << "gene " << g;
  }
}

Csr counts_matrix(std::int64_t rows, std::int32_t genes) {
  Csr matrix = test::random_matrix(rows, genes, 5);
  for (std::size_t k = 0; k < matrix.values.size(); ++k) {
    matrix.values[k] = std::floor(matrix.values[k] * (k % 50 == 0 ? 400.0F : 2.0F));
  }
  return matrix;  // explicit zeros among them
}

class Moments : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    if (!cpu_has(GetParam())) GTEST_SKIP() << "this processor lacks it";
  }
};

TEST_P(Moments, OfFractionsAreTheOraclesBits) {
  for (const std::int32_t genes : {1, 3, 257, 1500}) {
    const Csr matrix = counts_matrix(60, genes);
    SegmentMoments moments(genes, GetParam());
    std::vector<double> sums(60);
    moments.add_fractions(matrix.view(), sums);
    std::vector<double> factors;
    for (std::size_t r = 0; r < sums.size(); ++r) {
      double sum = 0;  // of whole numbers, exact
      for (std::int64_t k = matrix.indptr[r]; k < matrix.indptr[r + 1]; ++k) {
        sum += static_cast<double>(matrix.values[static_cast<std::size_t>(k)]);
      }
      EXPECT_EQ(sums[r], sum);
      factors.push_back(sum > 0 ? 1 / sum : 1);
    }
    expect_equal(moments.tallies(), oracle(matrix, factors, Scaling::fractions));
  }
}

TEST_P(Moments, OfScaledAndLoggedValuesAreTheOraclesBits) {
  const Csr matrix = counts_matrix(40, 300);
  std::vector<double> factors;
  for (int r = 0; r < 40; ++r) factors.push_back(0.1 + 0.05 * r);
  SegmentMoments moments(300, GetParam());
  moments.add_scaled(matrix.view(), factors);
  expect_equal(moments.tallies(), oracle(matrix, factors, Scaling::scaled));
  moments.clear();
  moments.add_log1p(matrix.view(), factors);
  expect_equal(moments.tallies(), oracle(matrix, factors, Scaling::logs));
}

TEST_P(Moments, DontDependOnHowASegmentIsHanded) {
  const Csr matrix = counts_matrix(40, 300);
  std::vector<double> sums(40);
  SegmentMoments whole(300, GetParam());
  whole.add_fractions(matrix.view(), sums);
  SegmentMoments pieces(300, GetParam());
  std::vector<double> piece_sums(40);
  for (const auto& [begin, end] : {std::pair{0, 7}, {7, 7}, {7, 39}, {39, 40}}) {
    pieces.add_fractions(
        matrix.rows(begin, end),
        std::span(piece_sums)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)));
  }
  EXPECT_EQ(sums, piece_sums);
  expect_equal(pieces.tallies(), {whole.tallies().begin(), whole.tallies().end()});
}

TEST_P(Moments, OfNoRowsAreZero) {
  SegmentMoments moments(3, GetParam());
  moments.add_fractions({{}, {}, {}, 3}, {});
  expect_equal(moments.tallies(), std::vector<GeneTally>(3));
}

TEST_P(Moments, RefuseWhatIsNoCountAndNameIt) {
  for (const float bad :
       {-1.0F, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const std::int32_t gene : {0, 8, 19}) {  // in whole vectors and behind them
      Csr matrix;
      matrix.n_cols = 20;
      matrix.add_row({{3, 1.0F}});
      std::vector<std::pair<std::int32_t, float>> row;
      for (std::int32_t g = 0; g < 20; ++g) row.emplace_back(g, g == gene ? bad : 1.0F);
      matrix.add_row(row);
      std::vector<double> sums(2);
      SegmentMoments moments(20, GetParam());
      try {
        moments.add_fractions(matrix.view(), sums);
        FAIL() << bad << " was taken";
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("row 1, gene " + std::to_string(gene)));
      }
      EXPECT_THROW(moments.add_scaled(matrix.view(), std::vector<double>{1, 1}), Error);
      EXPECT_THROW(moments.add_log1p(matrix.view(), std::vector<double>{1, 1}), Error);
    }
  }
}

TEST_P(Moments, TakeTheLargestFloatsAndMinusZero) {
  Csr matrix;
  matrix.n_cols = 2;
  matrix.add_row({{0, std::numeric_limits<float>::max()}, {1, -0.0F}});
  std::vector<double> sums(1);
  SegmentMoments moments(2, GetParam());
  moments.add_fractions(matrix.view(), sums);
  EXPECT_EQ(moments.tallies()[0].sum, 1.0);
  EXPECT_EQ(moments.tallies()[1].count, 0.0);
}

TEST_P(Moments, RefuseTheWrongNumberOfRows) {
  const Csr matrix = counts_matrix(4, 3);
  SegmentMoments moments(3, GetParam());
  std::vector<double> three(3);
  EXPECT_THROW(moments.add_fractions(matrix.view(), three), Error);
  EXPECT_THROW(moments.add_scaled(matrix.view(), three), Error);
}

INSTANTIATE_TEST_SUITE_P(Levels, Moments,
                         testing::Values(CpuLevel::plain, CpuLevel::avx2, CpuLevel::avx512),
                         [](const auto& info) { return cpu_level_name(info.param); });

TEST(RowSums, AreThoseOfTheMoments) {
  const Csr matrix = counts_matrix(30, 1000);
  std::vector<double> sums(30);
  SegmentMoments(1000).add_fractions(matrix.view(), sums);
  EXPECT_EQ(row_sums(matrix.view()), sums);
  EXPECT_TRUE(row_sums({{}, {}, {}, 5}).empty());
}

TEST(GeneSums, AreTheSameBitsInAnyOrderThreadsAndRanks) {
  constexpr std::int32_t kGenes = 2500;  // three bands
  const Csr matrix = counts_matrix(200, kGenes);
  const auto add_to = [&](GeneSums& sums, std::int64_t segment) {
    SegmentMoments moments(kGenes);
    std::vector<double> row_sums(10);
    moments.add_fractions(matrix.rows(segment * 10, segment * 10 + 10), row_sums);
    sums.add(moments.tallies());
  };
  GeneSums one(kGenes, 96);
  for (std::int64_t s = 0; s < 20; ++s) add_to(one, s);
  GeneSums many(kGenes, 96);
  Arena(4).for_each(20, [&](std::int64_t s) { add_to(many, 19 - s); });
  EXPECT_EQ(one.integers(), many.integers());

  GeneSums left(kGenes, 96);
  GeneSums right(kGenes, 96);
  for (std::int64_t s = 0; s < 20; ++s) add_to(s < 13 ? left : right, s);
  std::vector<std::int64_t> reduced = left.integers();
  const std::vector<std::int64_t> other = right.integers();
  for (std::size_t i = 0; i < reduced.size(); ++i) reduced[i] += other[i];
  left.from_integers(reduced);
  EXPECT_EQ(left.sums(), one.sums());
  EXPECT_EQ(left.sums_of_squares(), one.sums_of_squares());
  EXPECT_TRUE(std::ranges::equal(left.counts(), one.counts()));
  EXPECT_TRUE(std::ranges::equal(many.maxima(), one.maxima()));
}

TEST(GeneSums, AddUpToTheOracle) {
  const Csr matrix = counts_matrix(100, 50);
  const std::vector<double> factors(100, 0.25);
  GeneSums sums(50, 80);
  SegmentMoments moments(50);
  for (std::int64_t s = 0; s < 4; ++s) {
    moments.add_log1p(matrix.rows(s * 25, s * 25 + 25), std::span(factors).first(25));
    sums.add(moments.tallies());
    moments.clear();
  }
  const std::vector<GeneTally> expected = oracle(matrix, factors, Scaling::logs);
  for (std::size_t g = 0; g < expected.size(); ++g) {
    EXPECT_NEAR(sums.sums()[g], expected[g].sum, 1e-12);
    EXPECT_NEAR(sums.sums_of_squares()[g], expected[g].sum_squares, 1e-11);
    EXPECT_EQ(sums.maxima()[g], expected[g].max);
    EXPECT_EQ(static_cast<double>(sums.counts()[g]), expected[g].count);
  }
}

TEST(GeneSums, RefuseOtherGenes) {
  GeneSums sums(3, 96);
  EXPECT_THROW(sums.add(std::vector<GeneTally>(4)), Error);
  EXPECT_THROW(sums.from_integers(std::vector<std::int64_t>(3)), Error);
  GeneSums none(0, 96);
  none.add({});
  EXPECT_TRUE(none.sums().empty());
}

}  // namespace
}  // namespace cellmill
