#include <gmock/gmock.h>

#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/simulate/simulate.hpp"
#include "cellmill/train/dataset.hpp"
#include "cellmill/train/quality.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using Codes = std::vector<std::int64_t>;

std::vector<std::filesystem::path> plates(const TempFolder& folder, const std::string& name,
                                          SimulateOptions options = {}) {
  Arena arena(2);
  options.plates = 2;
  options.cells = 300;
  options.genes = 500;
  options.nnz = 40;
  return simulate_plates(folder.path() / name, options, arena);
}

std::shared_ptr<const Dataset> opened(const std::vector<std::filesystem::path>& paths) {
  return Dataset::open({paths, std::nullopt, {}});
}

Codes codes_of(const ObsValues& column) {
  Codes rows(static_cast<std::size_t>(column.size()));
  std::iota(rows.begin(), rows.end(), 0);
  Codes codes(rows.size());
  column.gather(rows, codes);
  return codes;
}

TEST(Fingerprint, IsOfTheContentAndNotOfTheFile) {
  const TempFolder folder;
  const auto paths = plates(folder, "first");
  const std::uint64_t fingerprint = opened(paths)->fingerprint();
  EXPECT_EQ(opened(plates(folder, "again"))->fingerprint(), fingerprint);
  SimulateOptions zarr;
  zarr.format = "zarr";
  EXPECT_EQ(opened(plates(folder, "zarr", zarr))->fingerprint(), fingerprint);

  SimulateOptions other;
  other.seed = 8;
  EXPECT_NE(opened(plates(folder, "other", other))->fingerprint(), fingerprint);
  EXPECT_NE(opened({paths[1], paths[0]})->fingerprint(), fingerprint);
  EXPECT_NE(opened({paths[0]})->fingerprint(), fingerprint);
  EXPECT_THROW((void)opened(paths)->fingerprint("layers/none"), Error);
}

TEST(ObsLevels, GivenByHandFixTheCodes) {
  const TempFolder folder;
  const auto data = opened(plates(folder, "plates"));
  const auto column = data->obs("cell_line");
  std::vector<std::string> levels = column->levels().to_vector();
  const std::string left_out = levels.back();
  levels.back() = "another";
  std::reverse(levels.begin(), levels.end());
  const ObsValues fixed = column->with_levels(levels);
  EXPECT_EQ(fixed.levels().to_vector(), levels);
  const Codes before = codes_of(*column);
  const Codes after = codes_of(fixed);
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string_view name = column->levels()[before[i]];
    if (name == left_out) {
      EXPECT_EQ(after[i], -1);
    } else {
      EXPECT_EQ(fixed.levels()[after[i]], name);
    }
  }
}

TEST(ObsLevels, MayBeManyMoreThanTheDataHave) {
  const TempFolder folder;
  const auto column = opened(plates(folder, "plates"))->obs("cell_line");
  std::vector<std::string> levels;
  for (int i = 0; i < 40'000; ++i) levels.push_back("line " + std::to_string(i));
  const std::string first(column->levels()[0]);
  levels.push_back(first);
  const Codes before = codes_of(*column);
  const Codes after = codes_of(column->with_levels(levels));
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i] == 0 ? 40'000 : -1);
}

TEST(ObsLevels, ThatCantBeMeantAreRefused) {
  const TempFolder folder;
  const auto data = opened(plates(folder, "plates"));
  const auto column = data->obs("cell_line");
  const std::string known(column->levels()[0]);
  EXPECT_THROW((void)column->with_levels(std::vector<std::string>{known, known}), Error);
  EXPECT_THROW((void)column->with_levels(std::vector<std::string>{"typo"}), Error);
  EXPECT_THROW((void)column->with_levels({}), Error);
}

TEST(MeasureOrder, FindsAShuffleRandomAndASequenceNot) {
  const TempFolder folder;
  const auto data = opened(plates(folder, "plates"));
  const RowBlocks rows(data->rows_of_sources(), 1);
  const auto labels = data->obs("cell_line");
  const auto shuffled = make_shuffled_order(rows, 600, {50, 1, 1, Tail::pad});
  const QualityReport random =
      measure_order(*shuffled, Schedule(*shuffled, Tail::pad, 0, 1), 0, 1'000, rows, labels.get());
  EXPECT_EQ(random.batches, 12);
  EXPECT_EQ(random.rows, 600);
  EXPECT_NEAR(random.within->score(), 1, 0.1);
  EXPECT_NEAR(random.labels->entropy.ratio(), 1, 0.05);
  const auto sequential = make_sequential_order(rows, {50, 1, 1, Tail::keep});
  const QualityReport plain =
      measure_order(*sequential, Schedule(*sequential, Tail::keep, 0, 1), 0, 3, rows, nullptr);
  EXPECT_EQ(plain.batches, 3);
  EXPECT_NEAR(plain.within->score(), 0, 0.1);
  EXPECT_FALSE(plain.labels.has_value());
}

TEST(MeasureOrder, SeesPaddingAndOtherReadersAsTheLoaderHandsThemOut) {
  const RowBlocks rows(std::vector<std::int64_t>{100}, 1);
  const auto order = make_shuffled_order(rows, 100, {30, 1, 2, Tail::pad});
  std::int64_t all = 0;
  for (int reader = 0; reader < 3; ++reader) {
    const QualityReport report =
        measure_order(*order, Schedule(*order, Tail::pad, reader, 3), 0, 1'000, rows);
    all += report.rows;
  }
  EXPECT_EQ(all, 100);
}

}  // namespace
}  // namespace cellmill
