#include "cellmill/stream/transforms.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

using ::testing::ElementsAre;

/// A row of `entries` different columns in random order; a value tells its column.
CsrChunk shuffled_row(std::int32_t n_cols, std::int32_t entries) {
  std::vector<std::pair<std::uint64_t, std::int32_t>> order;
  const CounterRng rng(5, static_cast<std::uint64_t>(n_cols));
  for (std::int32_t column = 0; column < n_cols; ++column) {
    order.emplace_back(rng.bits(static_cast<std::uint64_t>(column)), column);
  }
  std::sort(order.begin(), order.end());
  CsrChunk rows;
  rows.n_cols = n_cols;
  rows.indptr = {0, entries};
  for (std::int32_t i = 0; i < entries; ++i) {
    rows.indices.push_back(order[static_cast<std::size_t>(i)].second);
    rows.values.push_back(static_cast<float>(rows.indices.back()) + 0.5F);
  }
  return rows;
}

TEST(SortRows, RowsOfAnyLengthAndWidthRise) {
  for (const std::int32_t n_cols : {2, 63, 64, 65, 1000, 60'000}) {
    for (const std::int32_t entries : {2, 3, 20, 60, n_cols}) {
      if (entries > n_cols) continue;
      CsrChunk rows = shuffled_row(n_cols, entries);
      const std::vector<std::int32_t> before(rows.indices.begin(), rows.indices.end());
      sort_rows(rows);
      EXPECT_TRUE(std::is_sorted(rows.indices.begin(), rows.indices.end()));
      EXPECT_TRUE(std::is_permutation(before.begin(), before.end(), rows.indices.begin()));
      for (std::size_t k = 0; k < rows.values.size(); ++k) {
        EXPECT_EQ(rows.values[k], static_cast<float>(rows.indices[k]) + 0.5F);
      }
    }
  }
}

TEST(SortRows, ColumnsThatRepeatKeepTheirOrder) {
  CsrChunk rows;
  rows.n_cols = 10;
  rows.indptr = {0, 4, 4, 6};
  rows.indices = {7, 2, 7, 2, 9, 1};
  rows.values = {1, 2, 3, 4, 5, 6};
  sort_rows(rows);
  EXPECT_THAT(rows.indices, ElementsAre(2, 2, 7, 7, 1, 9));
  EXPECT_THAT(rows.values, ElementsAre(2, 4, 1, 3, 6, 5));
}

TEST(SelectColumns, SlotsThatFallAreSorted) {
  CsrChunk rows;
  rows.n_cols = 5;
  rows.indptr = {0, 3, 5};
  rows.indices = {0, 2, 4, 1, 3};
  rows.values = {1, 2, 3, 4, 5};
  const std::vector<std::int32_t> slot = {3, -1, 1, 0, 2};
  select_columns(rows, slot, 4);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 3, 4));
  EXPECT_THAT(rows.indices, ElementsAre(1, 2, 3, 0));
  EXPECT_THAT(rows.values, ElementsAre(2, 3, 1, 5));
  EXPECT_EQ(rows.n_cols, 4);
}

TEST(SelectColumns, DoublesKeepAllTheirDigits) {
  CsrRows<double> rows;
  rows.n_cols = 4;
  rows.indptr = {0, 3, 4};
  rows.indices = {0, 2, 3, 1};
  rows.values = {0.1, 1e300, 9007199254740991.0, 7};
  select_columns(rows, std::vector<std::int32_t>{2, -1, 1, 0}, 3);
  EXPECT_EQ(rows.n_cols, 3);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 3, 3));
  EXPECT_THAT(rows.indices, ElementsAre(0, 1, 2));
  EXPECT_THAT(rows.values, ElementsAre(9007199254740991.0, 1e300, 0.1));
}

}  // namespace
}  // namespace cellmill
