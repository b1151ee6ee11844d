#include "cellmill/train/order.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <set>
#include <vector>

#include "order_batches.hpp"

namespace cellmill {
namespace {

std::unique_ptr<Order> shuffled(const Rows& sources, std::int64_t block, std::int64_t window,
                                const OrderOptions& options,
                                std::optional<Rows> chosen = std::nullopt) {
  return make_shuffled_order(RowBlocks(sources, block, std::move(chosen)), window, options);
}

std::map<std::int64_t, int> counts(const std::vector<Rows>& batches) {
  std::map<std::int64_t, int> counts;
  for (const Rows& batch : batches) {
    for (const std::int64_t row : batch) ++counts[row];
  }
  return counts;
}

struct Case {
  int lanes;
  int readers;
  Tail tail;
  bool shuffled;
};

class EveryRow : public testing::TestWithParam<Case> {};

TEST_P(EveryRow, IsHandedOutOnceByAllReadersTogether) {
  const Case& c = GetParam();
  const Rows sources{102, 0, 5, 1'000, 64};
  const std::int64_t n = 1'171;
  constexpr std::int64_t size = 13;
  const OrderOptions options{size, 7, c.lanes, c.tail};
  const auto order = c.shuffled ? shuffled(sources, 8, 100, options)
                                : make_sequential_order(RowBlocks(sources, 8), options);
  for (const std::int64_t epoch : {0, 1, 5}) {
    const auto found = counts(epoch_batches(*order, c.tail, epoch, size, c.readers));
    std::int64_t rows = 0;
    for (const auto& [row, count] : found) {
      if (row < 0) continue;
      ++rows;
      if (c.tail == Tail::wrap) {
        EXPECT_LE(count, 3) << row;  // again for its lane's last batch, and for the last round
      } else {
        EXPECT_EQ(count, 1) << row;
      }
    }
    if (c.tail == Tail::drop) {
      // Less than a batch of each lane, and the batches that don't go round.
      EXPECT_GT(rows, n - c.lanes * (size + 1) - (c.readers - 1) * size);
      EXPECT_FALSE(found.contains(-1));
    } else {
      EXPECT_EQ(rows, n);
      EXPECT_EQ(found.contains(-1), c.tail == Tail::pad);
    }
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases{{1, 1, Tail::keep, true}, {1, 1, Tail::keep, false}};
  for (const bool shuffled : {true, false}) {
    for (int lanes = 1; lanes <= 4; ++lanes) {
      for (int readers = 1; readers <= 4; ++readers) {
        for (const Tail tail : {Tail::drop, Tail::pad, Tail::wrap}) {
          cases.push_back({lanes, readers, tail, shuffled});
        }
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(LanesReadersTails, EveryRow, testing::ValuesIn(all_cases()));

TEST(Schedule, GoesOnWithAnyNumberOfReaders) {
  const Rows sources{500, 700};
  const OrderOptions options{10, 3, 4, Tail::drop};
  const auto order = shuffled(sources, 16, 90, options);
  const auto whole = epoch_batches(*order, Tail::drop, 2, 10);
  for (const int readers : {1, 2, 3, 4}) {
    for (const std::int64_t first : {0, 3, 8, 50}) {
      const auto rest = epoch_batches(*order, Tail::drop, 2, 10, readers, first);
      ASSERT_GE(rest.size() + static_cast<std::size_t>(readers),
                whole.size() - static_cast<std::size_t>(first) + 1);
      for (std::size_t i = 0; i < rest.size(); ++i) {
        EXPECT_EQ(rest[i], whole[i + static_cast<std::size_t>(first)]);
      }
    }
  }
}

TEST(Schedule, GoesOnAsTheNumberOfReadersChangesAgainAndAgain) {
  const Rows sources{500, 700, 3};
  for (const Tail tail : {Tail::drop, Tail::pad, Tail::wrap}) {
    const auto order = shuffled(sources, 16, 90, {10, 3, 2, tail});
    const auto whole = epoch_batches(*order, tail, 1, 10);
    std::vector<Rows> found;
    for (const int readers : {1, 2, 4, 3}) {
      const auto first = static_cast<std::int64_t>(found.size());
      const auto rest = epoch_batches(*order, tail, 1, 10, readers, first);
      // Seven steps each; the last ones go on to the end.
      const std::size_t stop =
          readers == 3 ? rest.size() : std::min<std::size_t>(7 * readers, rest.size());
      found.insert(found.end(), rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(stop));
    }
    ASSERT_GT(found.size() + 3, whole.size());
    for (std::size_t i = 0; i < std::min(found.size(), whole.size()); ++i) {
      EXPECT_EQ(found[i], whole[i]) << i;
    }
    for (std::size_t i = whole.size(); i < found.size(); ++i) {
      EXPECT_EQ(found[i], tail == Tail::pad ? Rows(10, -1) : whole[i - whole.size()]);
    }
    EXPECT_EQ(tail == Tail::drop, found.size() <= whole.size());
  }
}

TEST(ShuffledOrder, DiffersFromEpochToEpochAndBySeed) {
  const Rows sources{1'000};
  const auto order = shuffled(sources, 8, 100, {10, 1, 1, Tail::drop});
  const auto other = shuffled(sources, 8, 100, {10, 2, 1, Tail::drop});
  EXPECT_NE(order->window(0, 0, 0).rows, order->window(1, 0, 0).rows);
  EXPECT_NE(order->window(0, 0, 0).rows, other->window(0, 0, 0).rows);
}

TEST(ShuffledOrder, IsAPureFunctionOfEpochLaneAndWindow) {
  const Rows sources{1'000, 400};
  const auto one = shuffled(sources, 8, 100, {10, 1, 2, Tail::drop});
  const auto other = shuffled(sources, 8, 100, {10, 1, 2, Tail::drop});
  const Rows late = one->window(3, 1, 5).rows;
  (void)other->window(0, 0, 0);
  (void)other->window(4, 1, 2);
  EXPECT_EQ(other->window(3, 1, 5).rows, late);
}

TEST(ShuffledOrder, NeverChangesUnnoticed) {
  // States of training that were saved must find the same order again.
  const Rows sources{1'000, 333};
  const auto order = shuffled(sources, 16, 128, {32, 42, 2, Tail::pad});
  std::uint64_t hash = 1469598103934665603ULL;
  for (const Rows& batch : epoch_batches(*order, Tail::pad, 1, 32)) {
    for (const std::int64_t row : batch) {
      hash = (hash ^ static_cast<std::uint64_t>(row + 1)) * 1099511628211ULL;
    }
  }
  EXPECT_EQ(hash, 8493368742433646142ULL);
}

TEST(ShuffledOrder, ReadsOnlyChosenRows) {
  Rows chosen;
  for (std::int64_t row = 0; row < 2'000; row += row % 7 == 0 ? 1 : 3) chosen.push_back(row);
  const auto order = shuffled({900, 1'100}, 32, 200, {16, 5, 2, Tail::pad}, chosen);
  auto found = counts(epoch_batches(*order, Tail::pad, 0, 16, 2));
  found.erase(-1);
  Rows rows;
  for (const auto& [row, count] : found) rows.push_back(row);
  EXPECT_EQ(rows, chosen);
}

TEST(ShuffledOrder, WorksOnMoreRowsThan32BitsCount) {
  const std::int64_t n = 5'000'000'000;
  const auto order = shuffled({n, 77}, 4'096, 65'536, {1'024, 9, 4, Tail::drop});
  const Window last = order->window(0, 3, (order->lane_batches() - 1) / order->window_batches());
  ASSERT_FALSE(last.rows.empty());
  const auto [least, most] = std::minmax_element(last.rows.begin(), last.rows.end());
  EXPECT_GE(*least, 0);
  EXPECT_LT(*most, n + 77);
  EXPECT_GT(*most, std::int64_t{1} << 31);
}

TEST(SequentialOrder, KeepsAllRowsAsTheyCome) {
  const auto order = make_sequential_order(RowBlocks(Rows{40, 60}, 8), {32, 0, 1, Tail::keep});
  Rows rows;
  for (const Rows& batch : epoch_batches(*order, Tail::keep, 3, 32)) {
    rows.insert(rows.end(), batch.begin(), batch.end());
  }
  Rows expected(100);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(rows, expected);
}

TEST(SequentialOrder, DropsOtherRowsInEachEpoch) {
  const auto order = make_sequential_order(RowBlocks(Rows{100}, 8), {32, 0, 1, Tail::drop});
  std::set<std::int64_t> seen;
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    for (const Rows& batch : epoch_batches(*order, Tail::drop, epoch, 32)) {
      seen.insert(batch.begin(), batch.end());
    }
  }
  EXPECT_EQ(seen.size(), 100U);
}

TEST(Order, SaysWhatCantBe) {
  const RowBlocks rows(Rows{100}, 8);
  EXPECT_THAT(message_of([&] {
                return make_sequential_order(rows, {128, 0, 1, Tail::drop});
              }),
              testing::HasSubstr("batch_size 128 is more than the 100 rows"));
  EXPECT_THAT(message_of([&] {
                return make_sequential_order(rows, {8, 0, 2, Tail::keep});
              }),
              testing::HasSubstr("tail=\"keep\""));
  EXPECT_THAT(message_of([&] {
                return make_shuffled_order(rows, 0, {8, 0, 1, Tail::drop});
              }),
              testing::HasSubstr("window"));
  EXPECT_THAT(message_of([&] { return make_sequential_order(RowBlocks(Rows{0}, 8), {}); }),
              testing::HasSubstr("no row to read"));
  EXPECT_THAT(message_of([&] {
                return RowBlocks(Rows{10}, 8, Rows{3, 3});
              }),
              testing::HasSubstr("rising"));
  EXPECT_THAT(message_of([&] {
                return RowBlocks(Rows{10}, 8, Rows{3, 10});
              }),
              testing::HasSubstr("expected 0 to 9"));
  const auto few = make_sequential_order(rows, {50, 0, 1, Tail::drop});
  EXPECT_THAT(message_of([&] { return Schedule(*few, Tail::drop, 0, 3); }),
              testing::HasSubstr("2 batches, fewer than the 3 readers"));
}

}  // namespace
}  // namespace cellmill
