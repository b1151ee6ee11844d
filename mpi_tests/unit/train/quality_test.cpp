#include "cellmill/train/quality.hpp"

#include <gmock/gmock.h>

#include <bit>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "train/keyed_permutation.hpp"
#include "train/random_batches.hpp"

namespace cellmill {
namespace {

using Rows = std::vector<std::int64_t>;

double entropy_of(const std::vector<std::int64_t>& labels) {
  std::map<std::int64_t, double> counts;
  for (const std::int64_t label : labels) counts[label] += 1;
  double entropy = 0;
  for (const auto& [label, count] : counts) {
    const double part = count / static_cast<double>(labels.size());
    entropy -= part * std::log2(part);
  }
  return entropy;
}

TEST(RandomBatch, IsWhatAllSubsetsGiveOnAverage) {
  const Rows rows_of_labels{5, 1, 0, 4, 2};
  const Rows label_of_row{0, 0, 0, 0, 0, 1, 3, 3, 3, 3, 4, 4};
  for (int size = 1; size <= 12; ++size) {
    double subsets = 0;
    RandomBatch mean;
    for (std::uint32_t chosen = 0; chosen < 1U << 12; ++chosen) {
      if (std::popcount(chosen) != size) continue;
      Rows labels;
      for (std::size_t row = 0; row < 12; ++row) {
        if ((chosen >> row & 1U) != 0) labels.push_back(label_of_row[row]);
      }
      subsets += 1;
      mean.entropy += entropy_of(labels);
      for (std::size_t label = 0; label < rows_of_labels.size(); ++label) {
        const auto count = static_cast<double>(
            std::count(labels.begin(), labels.end(), static_cast<std::int64_t>(label)));
        mean.distinct += count > 0 ? 1 : 0;
        mean.variation +=
            std::abs(count / size - static_cast<double>(rows_of_labels[label]) / 12) / 2;
      }
    }
    const RandomBatch expected = expected_random_batch(rows_of_labels, size);
    EXPECT_NEAR(expected.entropy, mean.entropy / subsets, 1e-12) << size;
    EXPECT_NEAR(expected.distinct, mean.distinct / subsets, 1e-12) << size;
    EXPECT_NEAR(expected.variation, mean.variation / subsets, 1e-12) << size;
  }
}

TEST(RandomBatch, IsSoundForBillionsOfRowsAndForNone) {
  const RandomBatch large = expected_random_batch(Rows{4'000'000'000, 1'000'000'000, 7}, 4'096);
  EXPECT_NEAR(large.entropy, -(.8 * std::log2(.8) + .2 * std::log2(.2)), 1e-3);
  EXPECT_NEAR(large.distinct, 2, 1e-4);
  const RandomBatch one = expected_random_batch(Rows{3, 1}, 1);
  EXPECT_EQ(one.entropy, 0);
  EXPECT_DOUBLE_EQ(one.distinct, 1);
  EXPECT_EQ(expected_random_batch({}, 5).distinct, 0);
  EXPECT_DOUBLE_EQ(expected_random_batch(Rows{3, 1}, 9).distinct, 2);
}

TEST(Quality, OfExactShufflingIsThatOfRandomBatches) {
  constexpr std::int64_t n = 200'000;
  const auto label = [](std::int64_t row) { return row * row / n / 4'000; };  // 50, uneven
  Rows rows_of_labels(50, 0);
  for (std::int64_t row = 0; row < n; ++row) ++rows_of_labels[static_cast<std::size_t>(label(row))];
  Quality quality(RowBlocks(Rows{n}, 64), rows_of_labels);
  const KeyedPermutation shuffled(n, 1, 1);
  for (std::int64_t at = 0; at + 100 <= n; at += 100) {
    Rows rows;
    Rows labels;
    for (std::int64_t i = 0; i < 100; ++i) {
      rows.push_back(static_cast<std::int64_t>(shuffled.at(static_cast<std::uint64_t>(at + i))));
      labels.push_back(label(rows.back()));
    }
    quality.add(rows, labels);
  }
  const QualityReport report = quality.report();
  EXPECT_EQ(report.batches, 2'000);
  EXPECT_EQ(report.rows, n);
  EXPECT_NEAR(report.within->score(), 1, .01);
  EXPECT_NEAR(report.across->score(), 1, .01);
  EXPECT_NEAR(report.labels->entropy.ratio(), 1, .001);
  EXPECT_NEAR(report.labels->distinct.ratio(), 1, .005);
  EXPECT_NEAR(report.labels->variation.ratio(), 1, .01);
}

TEST(Quality, OfRowsAsTheyComeIsNone) {
  Quality quality(RowBlocks(Rows{10'000}, 64), Rows{5'000, 5'000});
  for (std::int64_t at = 0; at < 10'000; at += 50) {
    Rows rows(50);
    std::iota(rows.begin(), rows.end(), at);
    quality.add(rows, Rows(50, at < 5'000 ? 0 : 1));
  }
  const QualityReport report = quality.report();
  EXPECT_NEAR(report.within->score(), 0, .001);
  EXPECT_NEAR(report.across->score(), 0, 1e-12);
  EXPECT_DOUBLE_EQ(report.within->random, 10'001 / 3.);
  EXPECT_EQ(report.labels->entropy.measured, 0);
  EXPECT_EQ(report.labels->distinct.measured, 1);
  EXPECT_DOUBLE_EQ(report.labels->variation.measured, .5);
}

TEST(Quality, PassesOverPaddingAndCountsMissingAsALabel) {
  Quality quality(RowBlocks(Rows{8}, 4), Rows{2, 2});  // and four rows without
  quality.add(Rows{0, 2, 4, 5, -1, -1}, Rows{0, 1, -1, -5, 0, 0});
  quality.add(Rows{-1, -1}, Rows{-1, -1});
  quality.add({}, {});
  const QualityReport report = quality.report();
  EXPECT_EQ(report.batches, 1);
  EXPECT_EQ(report.rows, 4);
  EXPECT_FALSE(report.across);
  EXPECT_DOUBLE_EQ(report.labels->entropy.measured, 1.5);
  EXPECT_DOUBLE_EQ(report.labels->distinct.measured, 3);
  EXPECT_DOUBLE_EQ(report.labels->variation.measured, 0);
  EXPECT_DOUBLE_EQ(report.labels->distinct.random,
                   expected_random_batch(Rows{2, 2, 4}, 4).distinct);
}

TEST(Quality, KnowsHowFarChosenRowsLieApart) {
  const Rows chosen{3, 4, 10, 1'000};
  Quality quality(RowBlocks(Rows{2'000}, 4, chosen));
  quality.add(Rows{3, 4});
  quality.add(Rows{10, 1'000});
  const QualityReport report = quality.report();
  EXPECT_DOUBLE_EQ(report.across->random, (1. + 7 + 997 + 6 + 996 + 990) / 6);
  EXPECT_DOUBLE_EQ(report.across->sequential, 997. / 3 * 2);
  EXPECT_DOUBLE_EQ(report.across->measured, (7. + 996) / 2);
  EXPECT_DOUBLE_EQ(report.within->measured, (1. + 990) / 2);
  EXPECT_FALSE(report.labels);
}

TEST(Quality, OfNothingAndOfSingleRowsHasNoPairs) {
  Quality quality(RowBlocks(Rows{1}, 4), Rows{1});
  EXPECT_EQ(quality.report().batches, 0);
  EXPECT_FALSE(quality.report().labels);
  quality.add(Rows{0}, Rows{0});
  quality.add(Rows{0}, Rows{0});
  const QualityReport report = quality.report();
  EXPECT_FALSE(report.within);
  EXPECT_EQ(report.across->score(), 1);
  EXPECT_EQ(report.labels->entropy.ratio(), 1);
}

TEST(Quality, RefusesLabelsThatDoNotFit) {
  const auto message = [](auto&& run) {
    try {
      run();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  const RowBlocks rows(Rows{8}, 4);
  EXPECT_EQ(message([&] {
              Quality(rows, Rows{5, 4});
            }),
            "labels: 9 rows have one, but there are 8 rows");
  Quality quality(rows, Rows{4, 4});
  EXPECT_EQ(message([&] {
              quality.add(Rows{1, 2}, Rows{0});
            }),
            "labels: 1 found for a batch of 2 rows");
  EXPECT_EQ(message([&] {
              quality.add(Rows{1, 2}, Rows{0, 2});
            }),
            "labels: 2 found, expected 0 to 1");
}

}  // namespace
}  // namespace cellmill
