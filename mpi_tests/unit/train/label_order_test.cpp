#include "cellmill/train/label_order.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "cellmill/core/random.hpp"
#include "order_batches.hpp"
#include "train/label_plan.hpp"
#include "train/label_sequence.hpp"

namespace cellmill {
namespace {

/// Labels 0 to n − 1, label k about k + 1 times as frequent as the first. \param run rows that lie
/// together; 1: mixed. Each label has some.
RowLabels labels(std::int64_t rows, int n, std::int64_t run) {
  RowLabels made{"line", {}, {}};
  for (int label = 0; label < n; ++label) made.levels.push_back("L" + std::to_string(label));
  const CounterRng rng(3, 1);
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t at = row / run;
    const double drawn = std::sqrt(rng.uniform(static_cast<std::uint64_t>(at))) * n;
    made.of_row.push_back(static_cast<std::int32_t>(at < n ? static_cast<double>(at) : drawn));
  }
  return made;
}

std::map<std::int32_t, std::int64_t> counts(const Rows& rows, const RowLabels& of) {
  std::map<std::int32_t, std::int64_t> counts;
  for (const std::int64_t row : rows) {
    if (row >= 0) ++counts[of.of_row[static_cast<std::size_t>(row)]];
  }
  return counts;
}

TEST(LabelSequence, HasEveryRowOfEachLabelOnceARoundWhateverIsAsked) {
  const RowLabels of = labels(3'000, 7, 5);
  const RowBlocks blocks(Rows{1'900, 1'100}, 16);
  const LabelSequence sequence(blocks, of.of_row, 7, 1, 2);
  std::vector<Range> round;
  for (std::int64_t label = 0; label < 7; ++label) round.push_back({0, sequence.count(label)});
  const auto all = sequence.rows(round);
  std::size_t rows = 0;
  for (std::size_t label = 0; label < 7; ++label) {
    const std::set<std::int64_t> once(all[label].begin(), all[label].end());
    EXPECT_EQ(once.size(), all[label].size());
    for (const std::int64_t row : once) {
      EXPECT_EQ(of.of_row[static_cast<std::size_t>(row)], static_cast<std::int32_t>(label));
    }
    rows += once.size();
  }
  EXPECT_EQ(rows, 3'000U);
  for (const Range wanted : {Range{0, 1}, Range{5, 9}, Range{40, 100}, Range{690, 720},
                             Range{9'999, 10'100}, Range{3, 3'000}, Range{8, 8}}) {
    const auto found = sequence.rows(std::vector<Range>(7, wanted));
    for (std::size_t label = 0; label < 7; ++label) {
      Rows expected;
      for (std::int64_t i = wanted.begin; i < wanted.end; ++i) {
        expected.push_back(all[label][static_cast<std::size_t>(i) % all[label].size()]);
      }
      EXPECT_EQ(found[label], expected) << label << " from " << wanted.begin;
    }
  }
}

TEST(LabelPlan, OfProportionsHasTheRowsOneAfterTheOther) {
  const auto plan = make_proportional_plan({5, 0, 1'000, 1, 333, 333}, 4, 2);
  std::vector<std::int64_t> expected(6, 0);
  const std::vector<std::int32_t> all = plan->labels({0, 1'672});
  ASSERT_EQ(all.size(), 1'672U);
  for (std::int64_t place = 0; place < 1'672; ++place) {
    ASSERT_EQ(plan->first_rows(place), expected) << place;
    ++expected[static_cast<std::size_t>(all[static_cast<std::size_t>(place)])];
  }
  EXPECT_EQ(plan->first_rows(1'672), expected);
  EXPECT_EQ(plan->labels({500, 503}), (std::vector<std::int32_t>{all[500], all[501], all[502]}));
  EXPECT_EQ(expected, (std::vector<std::int64_t>{5, 0, 1'000, 1, 333, 333}));
}

TEST(LabelPlan, OfEvenLabelsGoesThroughAllOfThemAtTheEpochsPace) {
  const auto plan = make_even_plan({10, 1'000, 3}, 3'000, 4, 2);
  const std::vector<std::int32_t> all = plan->labels({0, 3'000});
  for (std::size_t place = 0; place + 3 < all.size(); ++place) {
    ASSERT_EQ(all[place + 1], (all[place] + 1) % 3) << place;
  }
  EXPECT_EQ(plan->labels({70, 72}), (std::vector<std::int32_t>{all[70], all[71]}));
  EXPECT_EQ(plan->first_rows(0), (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(plan->first_rows(1'500), (std::vector<std::int64_t>{5, 500, 1}));
}

TEST(BalancedOrder, EveryBatchHasEquallyManyOfEachLabel) {
  for (const std::int64_t run : {1, 200}) {
    const RowLabels of = labels(6'000, 5, run);
    for (const int lanes : {1, 3}) {
      const auto order = make_balanced_order(RowBlocks(Rows{3'500, 2'500}, 16), of, 600,
                                             {32, 1, lanes, Tail::drop});
      for (const Rows& batch : epoch_batches(*order, Tail::drop, 1, 32)) {
        const auto found = counts(batch, of);
        ASSERT_EQ(found.size(), 5U);
        for (const auto& [label, count] : found) EXPECT_THAT(count, testing::AnyOf(6, 7)) << label;
      }
    }
  }
}

TEST(BalancedOrder, LabelsMoreThanABatchHoldsTakeTurns) {
  const RowLabels of = labels(6'000, 50, 7);
  const auto order =
      make_balanced_order(RowBlocks(Rows{6'000}, 16), of, 600, {20, 1, 1, Tail::drop});
  std::map<std::int32_t, std::int64_t> all;
  for (const Rows& batch : epoch_batches(*order, Tail::drop, 0, 20)) {
    const auto found = counts(batch, of);
    EXPECT_EQ(found.size(), 20U);
    for (const auto& [label, count] : found) all[label] += count;
  }
  EXPECT_EQ(all.size(), 50U);
  for (const auto& [label, count] : all) EXPECT_EQ(count, 120) << label;
}

TEST(BalancedOrder, RowsOfALabelComeEquallyOften) {
  const RowLabels of = labels(6'000, 4, 1);
  const auto order =
      make_balanced_order(RowBlocks(Rows{6'000}, 16), of, 512, {32, 1, 1, Tail::keep});
  std::vector<double> taken(6'000, 0);
  constexpr std::int64_t epochs = 100;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    for (std::int64_t first = 0; first < order->lane_batches(); first += order->window_batches()) {
      for (const std::int64_t row :
           window_rows_of(*order, epoch, 0, first / order->window_batches())) {
        ++taken[static_cast<std::size_t>(row)];
      }
    }
  }
  std::vector<double> rows(4, 0);
  for (const std::int32_t label : of.of_row) ++rows[static_cast<std::size_t>(label)];
  for (std::size_t row = 0; row < taken.size(); ++row) {
    // Rows of an epoch exclude one another, so counts vary less than those of single draws.
    const double mean = epochs * 1'500 / rows[static_cast<std::size_t>(of.of_row[row])];
    EXPECT_NEAR(taken[row], mean, 5 * std::sqrt(mean)) << of.of_row[row];
  }
}

TEST(BalancedOrder, ReadsFewBlocksMoreThanAShuffledWindowWhereLabelsLieMixed) {
  // The rarest of 10 labels has a nineteenth of the rows of the most frequent one.
  const RowLabels of = labels(640'000, 10, 1);
  const RowBlocks blocks(Rows{640'000}, 64);
  const auto order = make_balanced_order(blocks, of, 16'384, {256, 2, 1, Tail::drop});
  std::set<std::int64_t> read;
  for (const std::int64_t row : window_rows_of(*order, 0, 0, 20)) read.insert(row / 64);
  EXPECT_LT(read.size(), 3U * 16'384 / 64);
}

TEST(BalancedOrder, RareScatteredRowsAreRepeatedSoThatBlocksAreNotReadForEach) {
  RowLabels of{"line", {"rare", "other"}, std::vector<std::int32_t>(64'000, 1)};
  for (std::size_t row = 13; row < of.of_row.size(); row += 128) of.of_row[row] = 0;
  const auto order =
      make_balanced_order(RowBlocks(Rows{64'000}, 64), of, 4'096, {64, 1, 1, Tail::drop});
  const Window window = order->window(0, 0, 1);
  std::set<std::int64_t> blocks;
  for (const std::int64_t row : window.rows) blocks.insert(row / 64);
  // A shuffled window reads 64; one that took each rare row once, all 500 that have one.
  EXPECT_LT(blocks.size(), 64U + 2'048U / 8 + 8);
}

TEST(StratifiedOrder, HasAllRowsOnceAndEveryBatchTheProportions) {
  for (const std::int64_t run : {1, 100}) {
    RowLabels of = labels(5'000, 6, run);
    for (std::size_t row = 0; row < 5'000; row += 9) of.of_row[row] = -1;
    auto all = counts(
        [] {
          Rows rows(5'000);
          for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
          return rows;
        }(),
        of);
    for (const int lanes : {1, 2}) {
      const Tail tail = lanes == 1 ? Tail::keep : Tail::pad;
      const auto order =
          make_stratified_order(RowBlocks(Rows{5'000}, 16), of, 640, {64, 2, lanes, tail});
      std::map<std::int64_t, int> times;
      const auto batches = epoch_batches(*order, tail, 3, 64);
      for (const Rows& batch : batches) {
        for (const std::int64_t row : batch) ++times[row];
        if (batch.size() < 64 || std::count(batch.begin(), batch.end(), -1) > 0) continue;
        auto found = counts(batch, of);
        for (const auto& [label, rows] : all) {
          const double share = static_cast<double>(rows) / 5'000;
          EXPECT_NEAR(static_cast<double>(found[label]), 64 * share, 1 + 7 * share) << label;
        }
      }
      times.erase(-1);
      EXPECT_EQ(times.size(), 5'000U);
      for (const auto& [row, count] : times) EXPECT_EQ(count, 1) << row;
    }
  }
}

TEST(StratifiedOrder, ReadsAboutTheBlocksOfAShuffledWindowWhereLabelsLieMixed) {
  const RowLabels of = labels(640'000, 20, 1);
  const RowBlocks blocks(Rows{640'000}, 64);
  const auto order = make_stratified_order(blocks, of, 16'384, {256, 2, 1, Tail::drop});
  std::set<std::int64_t> read;
  for (const std::int64_t row : order->window(0, 0, 20).rows) read.insert(row / 64);
  EXPECT_LT(read.size(), 3U * 16'384 / 64);
}

TEST(LabelOrders, ArePureFunctionsAndGoOnWithAnyNumberOfReaders) {
  const RowLabels of = labels(1'200, 5, 10);
  const RowBlocks blocks(Rows{500, 700}, 16);
  const auto make = [&](std::uint64_t seed) {
    std::vector<std::unique_ptr<Order>> orders;
    orders.push_back(make_balanced_order(blocks, of, 90, {10, seed, 4, Tail::drop}));
    orders.push_back(make_stratified_order(blocks, of, 90, {10, seed, 4, Tail::drop}));
    return orders;
  };
  const auto some = make(1);
  const auto same = make(1);
  const auto others = make(2);
  for (std::size_t i = 0; i < some.size(); ++i) {
    const Rows late = window_rows_of(*some[i], 3, 1, 2);
    (void)same[i]->window(0, 0, 0);
    (void)same[i]->window(4, 3, 1);
    EXPECT_EQ(window_rows_of(*same[i], 3, 1, 2), late);
    EXPECT_NE(window_rows_of(*same[i], 4, 1, 2), late);
    EXPECT_NE(window_rows_of(*others[i], 3, 1, 2), late);
    expect_resumes_with_any_readers(*some[i], Tail::drop, 10);
  }
}

TEST(LabelOrders, FillBatchesAsTheirTailSays) {
  const RowLabels of{"line", {"a", "b"}, {0, 1, 0}};
  for (const Tail tail : {Tail::pad, Tail::wrap, Tail::keep, Tail::drop}) {
    for (const auto make : {&make_balanced_order, &make_stratified_order}) {
      const Rows rows =
          window_rows_of(*make(RowBlocks(Rows{3}, 2), of, 8, {2, 3, 1, tail}), 0, 0, 0);
      EXPECT_EQ(rows.size(), tail == Tail::drop ? 2U : tail == Tail::keep ? 3U : 4U);
      EXPECT_EQ(std::count(rows.begin(), rows.end(), -1), tail == Tail::pad ? 1 : 0);
    }
  }
}

TEST(LabelOrders, SayWhatCantBe) {
  const auto balanced = [](RowLabels of, std::optional<Rows> chosen = std::nullopt) {
    return message_of(
        [&] { return make_balanced_order(RowBlocks(Rows{4}, 2, chosen), of, 4, {1}); });
  };
  EXPECT_THAT(balanced({"line", {"a", "b", "c"}, {0, 1, 0, -1}}),
              testing::HasSubstr("1 of the 3 labels of obs['line'], e.g. 'c', have no cell among"));
  EXPECT_THAT(balanced({"line", {"a", "b"}, {0, 1, 0, 1}}, Rows{0, 2}),
              testing::HasSubstr("e.g. 'b', have no cell among the rows in use"));
  EXPECT_EQ(balanced({"line", {}, {-1, -1, -1, -1}}), "balanced: obs['line'] has no label");
  EXPECT_EQ(balanced({"line", {"a", "b"}, {0, 1, 0, 1}}), "nothing");
}

}  // namespace
}  // namespace cellmill
