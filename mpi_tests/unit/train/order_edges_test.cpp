#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "order_batches.hpp"
#include "train/lanes.hpp"

namespace cellmill {
namespace {

/// All rows of a lane's epoch, window by window.
Rows lane_rows(const Order& order, std::int64_t epoch, int lane) {
  Rows rows;
  for (std::int64_t first = 0; first < order.lane_batches(); first += order.window_batches()) {
    const Window window = order.window(epoch, lane, first / order.window_batches());
    rows.insert(rows.end(), window.rows.begin(), window.rows.end());
  }
  return rows;
}

Rows sorted(Rows rows) {
  std::sort(rows.begin(), rows.end());
  return rows;
}

Rows first_rows(std::int64_t n) {
  Rows rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

TEST(RowBlocks, NeverCrossTheBordersOfSources) {
  const RowBlocks blocks(Rows{5, 0, 3, 8}, 4);
  ASSERT_EQ(blocks.n_blocks(), 5);
  EXPECT_EQ(blocks.block(0), (Range{0, 4}));
  EXPECT_EQ(blocks.block(1), (Range{4, 5}));
  EXPECT_EQ(blocks.block(2), (Range{5, 8}));
  EXPECT_EQ(blocks.block(3), (Range{8, 12}));
  EXPECT_EQ(blocks.block(4), (Range{12, 16}));
  EXPECT_EQ(blocks.short_blocks(), (Rows{1, 2}));
}

TEST(RowBlocks, HoldWhatIsChosenOfThemAndLeaveOutTheRest) {
  const RowBlocks blocks(Rows{5, 0, 3, 8}, 4, Rows{0, 3, 4, 12, 15});
  ASSERT_EQ(blocks.n_blocks(), 3);
  EXPECT_EQ(blocks.block(0), (Range{0, 2}));
  EXPECT_EQ(blocks.block(1), (Range{2, 3}));
  EXPECT_EQ(blocks.block(2), (Range{3, 5}));
  EXPECT_EQ(blocks.row(3), 12);
}

TEST(RowBlocks, AreSingleRowsWhereBlocksAreOne) {
  const RowBlocks blocks(Rows{5, 3}, 1, Rows{1, 4, 7});
  ASSERT_EQ(blocks.n_blocks(), 3);
  EXPECT_EQ(blocks.block(2), (Range{2, 3}));
  EXPECT_TRUE(blocks.short_blocks().empty());
}

TEST(RowBlocks, HaveAFingerprintThatTellsSourcesFromChosenRows) {
  const auto print = [](const Rows& sources, std::optional<Rows> chosen) {
    return RowBlocks(sources, 4, std::move(chosen)).fingerprint();
  };
  const std::set<std::uint64_t> prints{print({10, 4}, std::nullopt), print({10}, Rows{4}),
                                       print({4, 10}, std::nullopt), print({14}, std::nullopt),
                                       print({10, 4}, Rows{4}),      print({10, 4}, Rows{5})};
  EXPECT_EQ(prints.size(), 6U);
}

TEST(ShuffledOrder, TakesBlocksLargerThanAnySource) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto order =
      make_shuffled_order(RowBlocks(Rows{30, 7, 1}, most), most, {5, 3, 1, Tail::keep});
  EXPECT_EQ(sorted(lane_rows(*order, 0, 0)), first_rows(38));
}

TEST(ShuffledOrder, HandsOutASingleRow) {
  for (const Tail tail : {Tail::drop, Tail::pad, Tail::wrap, Tail::keep}) {
    const auto order = make_shuffled_order(RowBlocks(Rows{0, 1, 0}, 64), 65'536, {1, 3, 1, tail});
    EXPECT_EQ(lane_rows(*order, 4, 0), Rows{0});
  }
}

TEST(ShuffledOrder, FillsABatchLargerThanItsRows) {
  const auto padded = make_shuffled_order(RowBlocks(Rows{3}, 2), 8, {8, 3, 1, Tail::pad});
  EXPECT_EQ(sorted(lane_rows(*padded, 0, 0)), (Rows{-1, -1, -1, -1, -1, 0, 1, 2}));
  const auto wrapped = make_shuffled_order(RowBlocks(Rows{3}, 2), 8, {8, 3, 1, Tail::wrap});
  const Rows rows = lane_rows(*wrapped, 0, 0);
  ASSERT_EQ(rows.size(), 8U);
  for (std::int64_t row = 0; row < 3; ++row) {
    EXPECT_GE(std::count(rows.begin(), rows.end(), row), 2) << row;
  }
}

TEST(ShuffledOrder, DropsOtherRowsInEachEpoch) {
  const auto order = make_shuffled_order(RowBlocks(Rows{1'000}, 8), 100, {128, 1, 1, Tail::drop});
  std::set<std::int64_t> seen;
  std::set<Rows> used;
  for (std::int64_t epoch = 0; epoch < 5; ++epoch) {
    const Rows rows = sorted(lane_rows(*order, epoch, 0));
    EXPECT_EQ(rows.size(), 896U);
    seen.insert(rows.begin(), rows.end());
    used.insert(rows);
  }
  EXPECT_EQ(seen.size(), 1'000U);
  EXPECT_EQ(used.size(), 5U);
}

TEST(ShuffledOrder, MixesTheBlocksOfAWindow) {
  // Of 64 blocks of 64 rows each batch should have some of nearly all.
  const auto order =
      make_shuffled_order(RowBlocks(Rows{4'096}, 64), 4'096, {512, 1, 1, Tail::drop});
  const Window window = order->window(0, 0, 0);
  ASSERT_EQ(window.n_batches(), 8);
  for (std::size_t batch = 0; batch < 8; ++batch) {
    std::set<std::int64_t> blocks;
    for (std::size_t i = 0; i < 512; ++i) blocks.insert(window.rows[batch * 512 + i] / 64);
    EXPECT_GE(blocks.size(), 60U);
  }
}

TEST(ShuffledOrder, HasEvenWindowsAndNoMoreThanItNeeds) {
  for (std::int64_t batches = 1; batches < 300; ++batches) {
    for (const std::int64_t wanted : {1, 2, 7, 16, 64, 1'000}) {
      const std::int64_t size = even_windows(batches, wanted);
      ASSERT_LE(size, wanted);
      const std::int64_t windows = (batches + wanted - 1) / wanted;
      ASSERT_EQ((batches + size - 1) / size, (batches + wanted - 1) / wanted);
      // Rounded up, each window takes less than a batch from the last one.
      ASSERT_GT(batches - (windows - 1) * size, size - windows) << batches << " by " << wanted;
    }
  }
  const auto order =
      make_shuffled_order(RowBlocks(Rows{66'000}, 64), 65'536, {64, 1, 1, Tail::drop});
  EXPECT_EQ(order->lane_batches(), 1'031);
  EXPECT_EQ(order->window_batches(), 516);  // not 1,024 and 7
}

TEST(ShuffledOrder, ReadsEveryChosenRowOnceWhereBlocksAreRows) {
  Rows chosen;
  for (std::int64_t row = 0; row < 500; row += 3) chosen.push_back(row);
  const auto order =
      make_shuffled_order(RowBlocks(Rows{333, 167}, 1, chosen), 64, {7, 2, 1, Tail::keep});
  EXPECT_EQ(sorted(lane_rows(*order, 1, 0)), chosen);
}

TEST(SequentialOrder, ReadsOnlyChosenRowsInOrder) {
  const Rows chosen{2, 3, 5, 7, 11, 13};
  const auto order = make_sequential_order(RowBlocks(Rows{8, 8}, 4, chosen), {4, 0, 1, Tail::keep});
  EXPECT_EQ(lane_rows(*order, 9, 0), chosen);
}

TEST(SequentialOrder, WorksOnMoreRowsThan32BitsCount) {
  const std::int64_t n = 5'000'000'000;
  const auto order = make_sequential_order(RowBlocks(Rows{n}, 64), {1'000, 0, 3, Tail::drop});
  // The rest of a lane is 666 rows: epoch e begins that many further, around the lane's end.
  constexpr std::int64_t epoch = std::int64_t{1} << 52;
  const Range lane = even_part(n, 3, 2);
  const std::int64_t rest = lane.size() % 1'000;
  ASSERT_EQ(rest, 666);
  const auto start = static_cast<std::int64_t>(static_cast<__int128>(epoch) * rest % lane.size());
  EXPECT_EQ(order->window(epoch, 2, 0).rows.front(), lane.begin + start);
  EXPECT_EQ(order->window(0, 2, 0).rows.front(), lane.begin);
}

TEST(SequentialOrder, SeesEveryRowOfEveryLaneInTwoEpochs) {
  for (const int lanes : {1, 2, 3}) {
    const auto order = make_sequential_order(RowBlocks(Rows{47}, 8), {8, 0, lanes, Tail::drop});
    for (const std::int64_t epoch : {0, 1, 6}) {
      std::set<std::int64_t> seen;
      for (int lane = 0; lane < lanes; ++lane) {
        for (const std::int64_t e : {epoch, epoch + 1}) {
          const Rows rows = lane_rows(*order, e, lane);
          EXPECT_EQ(std::set(rows.begin(), rows.end()).size(), rows.size());
          seen.insert(rows.begin(), rows.end());
        }
      }
      EXPECT_EQ(seen.size(), 47U) << lanes << " lanes, epoch " << epoch;
    }
  }
}

TEST(Order, RefusesWindowsThatAreNotThere) {
  const RowBlocks rows(Rows{100}, 8);
  std::vector<std::unique_ptr<Order>> orders;
  orders.push_back(make_sequential_order(rows, {10, 0, 2, Tail::drop}));
  orders.push_back(make_shuffled_order(rows, 50, {10, 0, 2, Tail::drop}));
  for (const auto& order : orders) {
    EXPECT_EQ(message_of([&] { return order->window(-1, 0, 0); }),
              "epoch: -1 found, expected 0 or more");
    EXPECT_EQ(message_of([&] { return order->window(0, 2, 0); }), "lane: 2 found, expected 0 to 1");
    EXPECT_THAT(message_of([&] { return order->window(0, 0, 5); }),
                testing::HasSubstr("a lane has 5 batches an epoch"));
    EXPECT_THAT(message_of([&] { return order->window(0, 0, -1); }),
                testing::HasSubstr("a lane has 5 batches an epoch"));
  }
}

TEST(Order, SaysWhichSizesDoNotGoTogether) {
  EXPECT_EQ(message_of([] {
              return make_sequential_order(RowBlocks(Rows{3}, 8), {1, 0, 5, Tail::drop});
            }),
            "3 rows can't be shared by 5 lanes");
  EXPECT_EQ(message_of([] {
              return make_sequential_order(
                  RowBlocks(Rows{3}, 8),
                  {std::numeric_limits<std::int64_t>::max(), 0, 1, Tail::pad});
            }),
            "batch_size: 9,223,372,036,854,775,807 found, expected 1 to 2,147,483,647");
  EXPECT_EQ(message_of([] { return RowBlocks(Rows{0}, 8, Rows{0}); }),
            "rows: 0 found, but the data has no row");
}

}  // namespace
}  // namespace cellmill
