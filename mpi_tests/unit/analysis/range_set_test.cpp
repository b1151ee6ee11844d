#include "analysis/range_set.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace cellmill {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RangeSet set_of(const std::vector<Range>& ranges) {
  RangeSet set;
  for (const Range& range : ranges) set.add(range);
  return set;
}

TEST(RangeSet, NeighboursAndOverlapsAreOneRange) {
  EXPECT_THAT(set_of({{0, 2}, {2, 5}}).ranges(), ElementsAre(Range{0, 5}));
  EXPECT_THAT(set_of({{2, 5}, {0, 2}}).ranges(), ElementsAre(Range{0, 5}));
  EXPECT_THAT(set_of({{0, 2}, {3, 5}}).ranges(), ElementsAre(Range{0, 2}, Range{3, 5}));
  EXPECT_THAT(set_of({{0, 2}, {4, 5}, {7, 9}, {1, 8}}).ranges(), ElementsAre(Range{0, 9}));
  EXPECT_THAT(set_of({{3, 4}, {3, 4}}).ranges(), ElementsAre(Range{3, 4}));
}

TEST(RangeSet, NothingAddsNothing) {
  EXPECT_THAT(set_of({{3, 3}, {5, 4}}).ranges(), IsEmpty());
  EXPECT_EQ(RangeSet().size(), 0);
}

TEST(RangeSet, ContainsWhatLiesInOneOfItsRanges) {
  const RangeSet set = set_of({{0, 4}, {6, 10}});
  EXPECT_EQ(set.size(), 8);
  EXPECT_TRUE(set.contains({0, 4}));
  EXPECT_TRUE(set.contains({7, 9}));
  EXPECT_TRUE(set.contains(9));
  EXPECT_FALSE(set.contains({3, 7}));
  EXPECT_FALSE(set.contains({4, 6}));
  EXPECT_FALSE(set.contains(10));
  EXPECT_TRUE(set.contains({5, 5}));
  EXPECT_FALSE(RangeSet().contains(0));
}

}  // namespace
}  // namespace cellmill
