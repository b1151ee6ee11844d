#include <gtest/gtest.h>

#include <cstdio>
#include <functional>
#include <span>
#include <vector>

#include "cellmill/train/order.hpp"
#include "cellmill/train/quality.hpp"

namespace cellmill {
namespace {

/// How random the shuffled order is on rows sorted by label: the table of docs/performance.md,
/// "Randomness of shuffled order", is what these tests print.
class Randomness : public testing::Test {
 protected:
  static constexpr std::int64_t rows = 5'000'000;
  static constexpr std::int64_t block = 64;

  /// An epoch's index stream, measured.
  static QualityReport measure(std::int64_t labels, std::int64_t batch_size, std::int64_t window) {
    const std::vector<std::int64_t> sources{rows};
    const RowBlocks blocks(sources, block);
    const std::vector<std::int64_t> rows_of_labels = equal_parts(labels);
    std::vector<std::int64_t> label_of_row;
    label_of_row.reserve(static_cast<std::size_t>(rows));
    for (std::int64_t label = 0; label < labels; ++label) {
      label_of_row.insert(label_of_row.end(),
                          static_cast<std::size_t>(rows_of_labels[static_cast<std::size_t>(label)]),
                          label);
    }
    const auto order = make_shuffled_order(blocks, window, {batch_size, 1, 1, Tail::drop});
    Quality quality(blocks, rows_of_labels);
    std::vector<std::int64_t> batch_labels(static_cast<std::size_t>(batch_size));
    for (std::int64_t first = 0; first < order->lane_batches(); first += order->window_batches()) {
      const Window made = order->window(0, 0, first / order->window_batches());
      for (std::int64_t i = 0; i < made.n_batches(); ++i) {
        const std::span batch = std::span(made.rows).subspan(
            static_cast<std::size_t>(i * batch_size), static_cast<std::size_t>(batch_size));
        for (std::size_t k = 0; k < batch.size(); ++k) {
          batch_labels[k] = label_of_row[static_cast<std::size_t>(batch[k])];
        }
        quality.add(batch, batch_labels);
      }
    }
    const QualityReport report = quality.report();
    const QualityReport::Labels& of = *report.labels;
    std::printf(
        "| %lld | %lld | %lld | %.4f of %.4f (%.2f%%) | %.1f of %.1f | %.4f of %.4f | %.4f, %.4f "
        "|\n",
        static_cast<long long>(labels), static_cast<long long>(batch_size),
        static_cast<long long>(window), of.entropy.measured, of.entropy.random,
        100 * of.entropy.ratio(), of.distinct.measured, of.distinct.random, of.variation.measured,
        of.variation.random, report.within->score(), report.across->score());
    return report;
  }

 private:
  static std::vector<std::int64_t> equal_parts(std::int64_t labels) {
    std::vector<std::int64_t> parts;
    for (std::int64_t i = 0; i < labels; ++i) parts.push_back(even_part(rows, labels, i).size());
    return parts;
  }
};

/// The least window, of powers of two, that brings entropy within 1% of exact shuffling.
void expect_least_window(std::int64_t window,
                         const std::function<QualityReport(std::int64_t)>& of) {
  EXPECT_LT(of(window / 2).labels->entropy.ratio(), .99);
  EXPECT_GE(of(window).labels->entropy.ratio(), .99);
}

TEST_F(Randomness, OfBatchesOf64Among50LabelsIsWithin1PercentByTheDefaultWindow) {
  expect_least_window(65'536, [](std::int64_t window) { return measure(50, 64, window); });
}

TEST_F(Randomness, OfBatchesOf4096Among50LabelsIsWithin1PercentByTheDefaultWindow) {
  expect_least_window(65'536, [](std::int64_t window) { return measure(50, 4'096, window); });
}

TEST_F(Randomness, OfBatchesOf64Among1100LabelsIsWithin1PercentByTheDefaultWindow) {
  expect_least_window(65'536, [](std::int64_t window) { return measure(1'100, 64, window); });
}

TEST_F(Randomness, OfBatchesOf4096Among1100LabelsTakesEightTimesTheDefaultWindow) {
  expect_least_window(524'288, [](std::int64_t window) { return measure(1'100, 4'096, window); });
}

TEST_F(Randomness, ScoresAsRandomBySlafsMeasure) {
  for (const std::int64_t batch_size : {64, 4'096}) {
    const QualityReport report = measure(1'100, batch_size, 65'536);
    EXPECT_GE(report.within->score(), .99);
    EXPECT_GE(report.across->score(), .99);
  }
}

}  // namespace
}  // namespace cellmill
