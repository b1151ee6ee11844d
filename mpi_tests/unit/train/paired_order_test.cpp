#include "cellmill/train/paired_order.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <set>
#include <vector>

#include "cellmill/core/random.hpp"
#include "order_batches.hpp"

namespace cellmill {
namespace {

/// Rows with one of five drugs, of which "DMSO" is a quarter, and one of four lines.
struct Made {
  RowLabels drug{"drug", {"A", "B", "DMSO", "C", "D"}, {}};
  RowLabels line{"line", {"l0", "l1", "l2", "l3"}, {}};
};

Made made(std::int64_t rows, std::int64_t run) {
  Made made;
  const CounterRng rng(9, 0);
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto at = static_cast<std::uint64_t>(row / run);
    // Each line has controls.
    const bool control = at < 4 || rng.uniform(2 * at) < .25;
    const std::uint64_t line = at < 4 ? at : rng.below(2 * at + 1, 4);
    made.drug.of_row.push_back(control ? 2 : static_cast<std::int32_t>(rng.below(2 * at, 5)));
    made.line.of_row.push_back(static_cast<std::int32_t>(line));
  }
  return made;
}

std::unique_ptr<Order> paired(const Made& of, const OrderOptions& options,
                              std::int64_t window = 256, std::optional<Rows> chosen = {}) {
  const auto n = static_cast<std::int64_t>(of.drug.of_row.size());
  const RowBlocks blocks(Rows{n / 3, n - n / 3}, 16, std::move(chosen));
  return make_paired_order(split_conditions(blocks, of.drug, "DMSO"), of.drug, "DMSO", of.line,
                           window, options);
}

class Matched : public testing::TestWithParam<std::tuple<std::int64_t, int, Tail>> {};

TEST_P(Matched, EveryCellComesOnceWithAControlOfItsLabel) {
  const auto [run, lanes, tail] = GetParam();
  const Made of = made(3'001, run);
  const auto order = paired(of, {32, 4, lanes, tail});
  std::set<std::int64_t> cells;
  for (const Rows& batch : epoch_batches(*order, tail, 1, 64)) {
    ASSERT_EQ(batch.size() % 2, 0U);
    const std::size_t size = batch.size() / 2;
    for (std::size_t i = 0; i < size; ++i) {
      const std::int64_t cell = batch[i];
      const std::int64_t control = batch[size + i];
      ASSERT_EQ(cell < 0, control < 0);
      if (cell < 0) continue;
      EXPECT_NE(of.drug.of_row[static_cast<std::size_t>(cell)], 2);
      EXPECT_EQ(of.drug.of_row[static_cast<std::size_t>(control)], 2);
      EXPECT_EQ(of.line.of_row[static_cast<std::size_t>(cell)],
                of.line.of_row[static_cast<std::size_t>(control)]);
      EXPECT_TRUE(cells.insert(cell).second || tail == Tail::wrap) << cell;
    }
  }
  const auto all = std::count_if(of.drug.of_row.begin(), of.drug.of_row.end(),
                                 [](std::int32_t drug) { return drug != 2; });
  if (tail == Tail::drop) {
    EXPECT_GT(static_cast<std::int64_t>(cells.size()), all - 33 * lanes);
  } else {
    EXPECT_EQ(static_cast<std::int64_t>(cells.size()), all);
  }
}

INSTANTIATE_TEST_SUITE_P(RunsLanesTails, Matched,
                         testing::Values(std::tuple{1, 1, Tail::keep}, std::tuple{1, 3, Tail::pad},
                                         std::tuple{40, 2, Tail::wrap},
                                         std::tuple{40, 4, Tail::drop}));

TEST(PairedOrder, ControlsOfALabelAreEquallyLikely) {
  const Made of = made(3'000, 1);
  const auto order = paired(of, {32, 4, 1, Tail::keep}, 128);
  std::vector<double> taken(3'000, 0);
  double draws = 0;
  constexpr std::int64_t epochs = 200;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    for (const Rows& batch : epoch_batches(*order, Tail::keep, epoch, 64)) {
      for (std::size_t i = batch.size() / 2; i < batch.size(); ++i) {
        ++taken[static_cast<std::size_t>(batch[i])];
        ++draws;
      }
    }
  }
  // Each label by itself; draws of a window exclude one another, so they vary less than by chance,
  // but for repeats (4 at most here: cells are three times the controls).
  for (std::int32_t line = 0; line < 4; ++line) {
    double cells = 0;
    double controls = 0;
    double squares = 0;
    for (std::size_t row = 0; row < taken.size(); ++row) {
      if (of.line.of_row[row] != line) continue;
      cells += taken[row];
      if (of.drug.of_row[row] == 2) ++controls;
    }
    const double mean = cells / controls;
    for (std::size_t row = 0; row < taken.size(); ++row) {
      if (of.line.of_row[row] != line || of.drug.of_row[row] != 2) continue;
      EXPECT_NEAR(taken[row], mean, 6 * std::sqrt(4 * mean)) << row;
      squares += (taken[row] - mean) * (taken[row] - mean);
    }
    EXPECT_LT(squares / controls, 4 * mean) << line;
  }
  EXPECT_GT(draws, 0);
}

TEST(PairedOrder, IsAPureFunctionAndGoesOnWithAnyNumberOfReaders) {
  const Made of = made(2'000, 5);
  const auto one = paired(of, {10, 1, 4, Tail::drop});
  const auto other = paired(of, {10, 1, 4, Tail::drop});
  const Rows late = window_rows_of(*one, 3, 1, 0);
  (void)other->window(0, 0, 0);
  (void)other->window(4, 3, 0);
  EXPECT_EQ(window_rows_of(*other, 3, 1, 0), late);
  EXPECT_NE(window_rows_of(*other, 4, 1, 0), late);
  expect_resumes_with_any_readers(*one, Tail::drop, 20);
}

TEST(PairedOrder, OnlyRowsInUseAreCellsOrControls) {
  const Made of = made(2'000, 5);
  Rows chosen;
  for (std::int64_t row = 0; row < 2'000; row += 2) chosen.push_back(row);
  const auto order = paired(of, {10, 1, 1, Tail::drop}, 64, chosen);
  for (const Rows& batch : epoch_batches(*order, Tail::drop, 0, 20)) {
    for (const std::int64_t row : batch) EXPECT_EQ(row % 2, 0);
  }
}

TEST(CombinedLabels, AreWhatSeveralColumnsSayTogether) {
  const RowLabels all = combined_labels({}, 3);
  EXPECT_EQ(all.of_row, (std::vector<std::int32_t>{0, 0, 0}));
  EXPECT_EQ(all.count(), 1);
}

TEST(PairedOrder, SaysWhatCantBe) {
  Made of = made(300, 1);
  const auto message = [&](std::string_view control = "DMSO") {
    return message_of([&] {
      const RowBlocks blocks(Rows{300}, 16);
      return make_paired_order(split_conditions(blocks, of.drug, control), of.drug, control,
                               of.line, 64, {10});
    });
  };
  EXPECT_EQ(message(), "nothing");
  EXPECT_THAT(message("DMSO_TF"),
              testing::HasSubstr("obs['drug'] has no 'DMSO_TF'; nearest: 'DMSO'"));
  const Made whole = of;
  std::int64_t cells = 0;
  for (std::size_t row = 0; row < 300; ++row) {
    if (of.line.of_row[row] != 3) continue;
    if (of.drug.of_row[row] == 2) {
      of.line.of_row[row] = 1;
    } else {
      of.drug.of_row[row] = 4;
      ++cells;
    }
  }
  EXPECT_EQ(message(), "paired: there is no control (drug='DMSO') for the " +
                           std::to_string(cells) +
                           " cells of drug='D' with l3; leave them out (rows, filter) or match "
                           "fewer columns");
  of = whole;
  std::size_t cell = 0;
  while (of.drug.of_row[cell] == 2) ++cell;
  of.line.of_row[cell] = -1;
  EXPECT_THAT(message(), testing::HasSubstr("paired: 1 cells, e.g. row " + std::to_string(cell) +
                                            ", have no line to match"));
  std::fill(of.drug.of_row.begin(), of.drug.of_row.end(), 2);
  EXPECT_THAT(message(), testing::HasSubstr("each with a condition is a control"));
  std::fill(of.drug.of_row.begin(), of.drug.of_row.end(), 1);
  EXPECT_THAT(message(), testing::HasSubstr("none is a control (obs['drug']='DMSO')"));
}

}  // namespace
}  // namespace cellmill
