#include "cellmill/stream/segment.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace cellmill {
namespace {

TEST(Segments, CoverEachSourceInOrder) {
  const std::vector<std::int64_t> rows = {4500, 0, 1, 2000};
  const std::vector<Segment> segments = make_segments(rows);
  ASSERT_EQ(segments.size(), 5U);
  EXPECT_EQ(segments[2].rows, (Range{4000, 4500}));
  EXPECT_EQ(segments[3].source, 2);
  EXPECT_EQ(segments[3].rows, (Range{0, 1}));
  EXPECT_EQ(segments[4].rows, (Range{0, 2000}));
  EXPECT_TRUE(make_segments({}).empty());
}

TEST(ShardPlan, IsDisjointCompleteAndBalanced) {
  std::vector<Segment> segments(97);
  for (std::size_t i = 0; i < segments.size(); ++i) {
    segments[i].rows = {0, 2000};
    segments[i].nnz = static_cast<std::int64_t>(1'000'000 + 50'000 * (i % 11));
  }
  for (const int ranks : {1, 2, 3, 4, 7, 97, 200}) {
    const ShardPlan plan(segments, ranks);
    std::int64_t next = 0;
    std::int64_t most = 0;
    std::int64_t total = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      const Range mine = plan.segments_of(rank);
      EXPECT_EQ(mine.begin, next);
      EXPECT_LE(mine.begin, mine.end);
      next = mine.end;
      std::int64_t nnz = 0;
      for (std::int64_t s = mine.begin; s < mine.end; ++s)
        nnz += segments[static_cast<std::size_t>(s)].nnz;
      most = std::max(most, nnz);
      total += nnz;
    }
    EXPECT_EQ(next, 97);
    EXPECT_LE(most, total / ranks + 1'600'000) << ranks;
  }
}

TEST(ShardPlan, NoSegmentsLeaveEveryRankEmpty) {
  const ShardPlan plan({}, 3);
  for (int rank = 0; rank < 3; ++rank) EXPECT_TRUE(plan.segments_of(rank).empty());
}

}  // namespace
}  // namespace cellmill
