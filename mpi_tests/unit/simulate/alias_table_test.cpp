#include "simulate/alias_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "simulate/draws.hpp"

namespace cellmill::simulation {
namespace {

std::map<std::int32_t, double> frequencies(const AliasTable& table, int draws) {
  Draws random(1, Subject::gene, 0);
  std::map<std::int32_t, double> found;
  for (int i = 0; i < draws; ++i) found[table.gene(random.bits())] += 1.0 / draws;
  return found;
}

TEST(AliasTable, DrawsInProportionToTheWeights) {
  const std::vector<std::int32_t> genes = {3, 10, 11, 40, 7};
  const std::vector<double> weights = {0.001, 5, 0.5, 0, 100};
  const auto found = frequencies(AliasTable(genes, weights), 400'000);
  for (std::size_t i = 0; i < genes.size(); ++i) {
    const double expected = weights[i] / 105.501;
    const double error = 5 * std::sqrt(expected / 400'000) + 1e-9;
    const auto gene = found.find(genes[i]);
    EXPECT_NEAR(gene == found.end() ? 0 : gene->second, expected, error) << genes[i];
  }
}

TEST(AliasTable, OneGeneIsAlwaysDrawn) {
  const AliasTable table(std::vector<std::int32_t>{5}, std::vector<double>{1e-9});
  EXPECT_EQ(table.gene(0), 5);
  EXPECT_EQ(table.gene(~std::uint64_t{0}), 5);
}

TEST(AliasTable, IsEmptyWithoutAWeight) {
  EXPECT_TRUE(AliasTable().empty());
  EXPECT_TRUE(AliasTable(std::vector<std::int32_t>{1, 2}, std::vector<double>{0, 0}).empty());
}

TEST(Draws, StreamsOfDifferentSubjectsDiffer) {
  EXPECT_EQ(Draws(7, Subject::cell, 1, 2).bits(), Draws(7, Subject::cell, 1, 2).bits());
  EXPECT_NE(Draws(7, Subject::cell, 1, 2).bits(), Draws(7, Subject::cell, 2, 1).bits());
  EXPECT_NE(Draws(7, Subject::cell, 1, 2).bits(), Draws(7, Subject::drug, 1, 2).bits());
  EXPECT_NE(Draws(7, Subject::cell, 1, 2).bits(), Draws(8, Subject::cell, 1, 2).bits());
}

TEST(Draws, NormalHasMeanZeroAndVarianceOne) {
  Draws draws(1, Subject::line, 0);
  double sum = 0;
  double squares = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) {
    const double z = draws.normal();
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / kDraws, 0, 0.015);
  EXPECT_NEAR(squares / kDraws, 1, 0.02);
}

}  // namespace
}  // namespace cellmill::simulation
