#include "cellmill/train/weighted_order.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "order_batches.hpp"
#include "train/alias_table.hpp"

namespace cellmill {
namespace {

using Weights = std::vector<double>;

constexpr double inf = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Labels in runs of some lengths, as plates have them.
std::vector<int> labels_in_runs(std::int64_t n, int labels, std::uint64_t longest) {
  const CounterRng rng(5, 0);
  std::vector<int> of_row;
  for (std::uint64_t run = 0; static_cast<std::int64_t>(of_row.size()) < n; ++run) {
    // Label k is about k + 1 times as frequent as the first.
    const auto drawn = static_cast<int>(std::sqrt(rng.uniform(2 * run)) * labels);
    of_row.insert(of_row.end(), 1 + rng.below(2 * run + 1, longest), drawn);
  }
  of_row.resize(static_cast<std::size_t>(n));
  return of_row;
}

/// The variance of how many of an epoch's draws have a label, as block sampling has it: visits are
/// independent, each of `block` draws, of which a block's share of the label's weight is expected
/// to have it; the draws of a visit vary no more around that than independent ones do.
struct Expected {
  double mean = 0;
  double variance = 0;
};

Expected expected_draws(const std::vector<int>& labels, const Weights& weights, int label,
                        std::int64_t block, std::int64_t draws) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  double mean = 0;
  double square = 0;
  double within = 0;
  for (std::size_t begin = 0; begin < labels.size(); begin += static_cast<std::size_t>(block)) {
    double sum = 0;
    double with = 0;
    for (std::size_t i = begin;
         i < std::min(begin + static_cast<std::size_t>(block), labels.size()); ++i) {
      sum += weights[i];
      if (labels[i] == label) with += weights[i];
    }
    if (sum == 0) continue;
    const double share = with / sum;
    mean += sum / total * share;
    square += sum / total * share * share;
    within += sum / total * share * (1 - share);
  }
  const auto visits = static_cast<double>(draws) / static_cast<double>(block);
  const auto size = static_cast<double>(block);
  return {static_cast<double>(draws) * mean,
          visits * (size * size * (square - mean * mean) + size * within)};
}

TEST(AliasTable, DrawsInProportionToWeightsAndNeverWhatHasNone) {
  const Weights weights{0, 3, 0.5, 0, 1e-3, 12, 0};
  const AliasTable table(weights);
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  // Exactly: of each slot the part that it keeps, and what other slots give.
  Weights found(weights.size(), 0);
  constexpr int steps = 70'000;
  for (std::uint64_t slot = 0; slot < weights.size(); ++slot) {
    for (int step = 0; step < steps; ++step) {
      const double uniform = (step + 0.5) / steps;
      found[static_cast<std::size_t>(table.draw(slot, uniform))] +=
          1.0 / steps / static_cast<double>(weights.size());
    }
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    EXPECT_NEAR(found[i], weights[i] / total, 1.0 / steps) << i;
    EXPECT_EQ(found[i] == 0, weights[i] == 0) << i;
  }
}

TEST(AliasTable, HoldsAnyRangeOfWeights) {
  const AliasTable table(Weights{1e300, 1e-300, 0, 1e300});
  for (std::uint64_t slot = 0; slot < 4; ++slot) {
    for (const double uniform : {0.0, 0.5, 1 - 0x1p-53}) {
      EXPECT_THAT(table.draw(slot, uniform), testing::AnyOf(0, 1, 3));
      EXPECT_NE(table.draw(slot, uniform), 2);
    }
  }
  EXPECT_EQ(AliasTable(Weights{5e-324}).draw(0, 0.999), 0);
}

TEST(WeightedOrder, LabelFrequenciesAreWithinTheirExpectedError) {
  constexpr std::int64_t n = 40'000;
  constexpr std::int64_t block = 32;
  constexpr int n_labels = 10;
  const std::vector<int> labels = labels_in_runs(n, n_labels, 100);
  const CounterRng rng(7, 7);
  Weights weights;
  for (std::int64_t row = 0; row < n; ++row) {
    const auto at = static_cast<std::size_t>(row);
    weights.push_back(row % 11 == 0 ? 0 : (1 + labels[at]) * rng.uniform(at));
  }
  for (const int lanes : {1, 3}) {
    const auto order = make_weighted_order(RowBlocks(Rows{n}, block), RowWeights(weights), 4'096,
                                           {64, 1, lanes, Tail::drop});
    std::vector<double> found(n_labels, 0);
    std::int64_t draws = 0;
    double z_squares = 0;
    for (const std::int64_t epoch : {0, 1, 2}) {
      for (const Rows& batch : epoch_batches(*order, Tail::drop, epoch, 64)) {
        for (const std::int64_t row : batch) {
          ++found[static_cast<std::size_t>(labels[static_cast<std::size_t>(row)])];
          EXPECT_GT(weights[static_cast<std::size_t>(row)], 0) << row;
          ++draws;
        }
      }
    }
    for (int label = 0; label < n_labels; ++label) {
      const Expected expected = expected_draws(labels, weights, label, block, draws);
      const double z =
          (found[static_cast<std::size_t>(label)] - expected.mean) / std::sqrt(expected.variance);
      EXPECT_LT(std::abs(z), 4) << label;
      z_squares += z * z;
    }
    // The variance is not far too large either, or nothing would be shown.
    EXPECT_GT(z_squares, 1);
  }
}

TEST(WeightedOrder, EqualWeightsTakeEachRowOfABlockOnceAVisit) {
  const auto order = make_weighted_order(RowBlocks(Rows{6'400}, 64), RowWeights(Weights(6'400, 2)),
                                         1'600, {50, 3, 1, Tail::drop});
  for (const Rows& visits : {window_rows_of(*order, 0, 0, 0), window_rows_of(*order, 2, 0, 3)}) {
    std::vector<std::vector<int>> counts(100, std::vector<int>(64, 0));
    for (const std::int64_t row : visits) {
      ++counts[static_cast<std::size_t>(row / 64)][static_cast<std::size_t>(row % 64)];
    }
    for (const auto& block : counts) {
      EXPECT_THAT(block, testing::Each(block.front()));
    }
  }
}

TEST(WeightedOrder, IsAPureFunctionOfEpochLaneAndWindow) {
  Weights weights(1'400);
  std::iota(weights.begin(), weights.end(), 0.0);
  const auto make = [&](std::uint64_t seed) {
    return make_weighted_order(RowBlocks(Rows{1'000, 400}, 8), RowWeights(weights), 100,
                               {10, seed, 2, Tail::drop});
  };
  const auto one = make(1);
  const auto other = make(1);
  const Rows late = window_rows_of(*one, 3, 1, 5);
  (void)other->window(0, 0, 0);
  EXPECT_EQ(window_rows_of(*other, 3, 1, 5), late);
  EXPECT_NE(window_rows_of(*other, 3, 0, 5), late);
  EXPECT_NE(window_rows_of(*other, 3, 1, 4), late);
  EXPECT_NE(window_rows_of(*other, 4, 1, 5), late);
  EXPECT_NE(window_rows_of(*make(2), 3, 1, 5), late);
}

TEST(WeightedOrder, GoesOnWithAnyNumberOfReaders) {
  Weights weights(1'200);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = i % 3 == 0 ? 5 : 1;
  const auto order = make_weighted_order(RowBlocks(Rows{500, 700}, 16), RowWeights(weights), 90,
                                         {10, 3, 4, Tail::drop});
  expect_resumes_with_any_readers(*order, Tail::drop, 10);
}

TEST(WeightedOrder, DrawsOnlyFromChosenRows) {
  Weights weights(2'000, 1);
  weights[6] = nan;  // not in use
  Rows chosen;
  for (std::int64_t row = 0; row < 2'000; row += 10) chosen.push_back(row);
  const auto order = make_weighted_order(RowBlocks(Rows{900, 1'100}, 32, chosen),
                                         RowWeights(weights), 64, {16, 5, 2, Tail::pad});
  for (const Rows& batch : epoch_batches(*order, Tail::pad, 0, 16)) {
    for (const std::int64_t row : batch) EXPECT_TRUE(row == -1 || row % 10 == 0) << row;
  }
}

TEST(WeightedOrder, FillsTheLastBatchAsItsTailSays) {
  const RowWeights weights(Weights{0, 1, 0});
  const auto of = [&](Tail tail) {
    return window_rows_of(*make_weighted_order(RowBlocks(Rows{3}, 2), weights, 8, {2, 3, 1, tail}),
                          0, 0, 0);
  };
  EXPECT_EQ(of(Tail::drop), (Rows{1, 1}));
  EXPECT_EQ(of(Tail::pad), (Rows{1, 1, 1, -1}));
  EXPECT_EQ(of(Tail::wrap), (Rows{1, 1, 1, 1}));
  EXPECT_EQ(of(Tail::keep), (Rows{1, 1, 1}));
}

TEST(WeightedOrder, TakesWeightsInSinglePrecisionAsTheyAre) {
  const auto single = std::make_shared<const std::vector<float>>(std::vector<float>{1, 0, 3, 0.25});
  const RowBlocks blocks(Rows{4}, 2);
  const OrderOptions options{2, 1, 1, Tail::drop};
  const auto of_floats =
      make_weighted_order(blocks, RowWeights(std::span<const float>(*single), single), 4, options);
  const auto of_doubles =
      make_weighted_order(blocks, RowWeights(Weights{1, 0, 3, 0.25}), 4, options);
  EXPECT_EQ(of_floats->options(), of_doubles->options());
  EXPECT_EQ(window_rows_of(*of_floats, 0, 0, 0), window_rows_of(*of_doubles, 0, 0, 0));
}

std::string message(const Weights& weights, std::int64_t warmup = 1) {
  return message_of([&] {
    return make_curriculum_order(RowBlocks(Rows{4}, 2), RowWeights(weights), warmup, 4, {2});
  });
}

TEST(WeightedOrder, SaysWhatIsWrongWithWeights) {
  EXPECT_EQ(message({1, 1, 1}), "weights: 3 found, expected one for each of the 4 rows");
  EXPECT_EQ(message({1, 1, -2, 1}), "weights: -2 found for row 2, expected a number from 0 on");
  EXPECT_EQ(message({1, 1, 1, nan}), "weights: nan found for row 3, expected a number from 0 on");
  EXPECT_EQ(message({inf, 1, 1, 1}), "weights: inf found for row 0, expected a number from 0 on");
  EXPECT_EQ(message({0, 0, 0, 0}), "weights: all of the 4 rows in use have 0, expected some above");
  EXPECT_THAT(message({1e308, 1e308, 1, 1}), testing::HasSubstr("beyond the largest number"));
  EXPECT_EQ(message({1, 1, 1, 1}, 0), "warmup_epochs: 0 found, expected at least 1");
}

TEST(CurriculumOrder, GoesFromUniformToWeightedLinearly) {
  constexpr std::int64_t n = 32'000;
  constexpr std::int64_t block = 16;
  Weights weights;
  for (std::int64_t row = 0; row < n; ++row) weights.push_back(row < n / 4 ? 9 : 0);
  const auto order = make_curriculum_order(RowBlocks(Rows{n}, block), RowWeights(weights), 4, 2'048,
                                           {64, 2, 1, Tail::drop});
  for (const std::int64_t epoch : {0, 1, 2, 3, 4, 9}) {
    std::int64_t found = 0;
    for (const Rows& batch : epoch_batches(*order, Tail::drop, epoch, 64)) {
      found += std::count_if(batch.begin(), batch.end(), [](auto row) { return row < n / 4; });
    }
    const double weighted = std::min(1.0, static_cast<double>(epoch) / 4);
    const double share = 0.25 * (1 - weighted) + weighted;
    // All draws of a visit are alike here: the variance is that of n / block visits.
    const double deviation = std::sqrt(share * (1 - share) * n * block);
    EXPECT_NEAR(static_cast<double>(found), share * n, 4 * deviation + 1e-9) << epoch;
  }
}

}  // namespace
}  // namespace cellmill
