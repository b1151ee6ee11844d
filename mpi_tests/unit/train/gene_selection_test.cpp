#include "train/gene_selection.hpp"

#include <gmock/gmock.h>

#include <cmath>
#include <vector>

namespace cellmill {
namespace {

using testing::ElementsAre;

/// Three rows of five genes: 0 2 0 1 0 / 0 0 0 4 3 / nothing; sums 0 2 0 5 3.
BatchMatrix made() {
  BatchMatrix rows;
  rows.n_cols = 5;
  rows.indptr = {0, 2, 4, 4};
  rows.indices = {1, 3, 3, 4};
  rows.values = {2, 1, 4, 3};
  return rows;
}

TEST(GeneSelection, MostExpressedHaveTheLargestSumsAndTiesGoByColumn) {
  const auto most = [](std::int64_t count) {
    return select_columns({GeneSelection::Kind::most_expressed, count}, made(), {1, 0, 0});
  };
  EXPECT_THAT(most(2), ElementsAre(3, 4));
  EXPECT_THAT(most(4), ElementsAre(0, 1, 3, 4));
  EXPECT_THAT(most(9), ElementsAre(0, 1, 2, 3, 4));
}

TEST(GeneSelection, RandomOnesAreExpressedAndEquallyLikely) {
  std::vector<int> times(5, 0);
  for (std::int64_t batch = 0; batch < 3000; ++batch) {
    const auto columns =
        select_columns({GeneSelection::Kind::random_expressed, 2}, made(), {1, 0, batch});
    ASSERT_EQ(columns.size(), 2);
    for (const std::int64_t column : columns) ++times[static_cast<std::size_t>(column)];
  }
  EXPECT_EQ(times[0] + times[2], 0);
  for (const std::size_t column : {1, 3, 4}) {
    EXPECT_NEAR(times[column], 2000, 6 * std::sqrt(3000 * 2.0 / 9));
  }
  EXPECT_THAT(select_columns({GeneSelection::Kind::random_expressed, 9}, made(), {1, 0, 0}),
              ElementsAre(1, 3, 4));
}

TEST(GeneSelection, KeepsColumnsOfRowsAndMakesThemDense) {
  const std::vector<std::int64_t> columns{0, 3};
  BatchMatrix rows = made();
  keep_columns(rows, columns, BatchLayout::csr);
  EXPECT_EQ(rows.n_cols, 2);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 1, 2, 2));
  EXPECT_THAT(std::vector<std::int32_t>(rows.indices.begin(), rows.indices.begin() + 2),
              ElementsAre(1, 1));
  EXPECT_THAT(std::vector<float>(rows.values.begin(), rows.values.begin() + 2), ElementsAre(1, 4));
  BatchMatrix dense = made();
  keep_columns(dense, columns, BatchLayout::dense);
  EXPECT_THAT(dense.dense, ElementsAre(0, 1, 0, 4, 0, 0));
}

}  // namespace
}  // namespace cellmill
