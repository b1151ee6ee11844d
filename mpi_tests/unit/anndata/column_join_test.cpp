#include "cellmill/anndata/column_join.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cellmill/anndata/write.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;

class ColumnJoinTest : public testing::Test {
 protected:
  struct Column {
    ColumnInfo info;
    ColumnRows rows;
    Strings levels;
  };

  static Column categories(const std::vector<std::string>& levels, std::vector<std::int32_t> codes,
                           bool ordered = false) {
    Column column{{"c", ColumnKind::categorical, DType::string, ordered}, {}, Strings(levels)};
    column.rows.codes = std::move(codes);
    return column;
  }
  static Column numbers(DType dtype, std::vector<std::int64_t> values) {
    Column column{{"c", ColumnKind::numeric, dtype}, {}, {}};
    if (is_float(dtype)) {
      column.rows.numbers.assign(values.begin(), values.end());
    } else {
      column.rows.integers = std::move(values);
    }
    return column;
  }

  /// A frame of two rows; without the column if there is none.
  void add(const std::optional<Column>& column) {
    const auto root = open_zarr(folder.path() / std::to_string(frames.size()), OpenMode::create);
    const auto frame = create_dataframe(
        *root, "obs", column ? std::vector<std::string>{"c"} : std::vector<std::string>{});
    write_index(*frame, Strings(std::vector<std::string>{"r", "s"}));
    if (column) write_column(*frame, column->info, column->rows, column->levels);
    frames.push_back(std::make_unique<DataFrame>(root->group("obs")));
  }

  JoinedColumn join() {
    std::vector<const DataFrame*> all;
    for (const auto& frame : frames) all.push_back(frame.get());
    JoinedColumn joined = join_column("c", all);
    for (std::size_t f = 0; f < frames.size(); ++f) {
      if (joined.in_frame[f] == 0) {
        append_missing(joined, 2, rows);
      } else {
        append_rows(joined, f, frames[f]->column("c"), frames[f]->read("c", {0, 2}), {true, true},
                    rows);
      }
    }
    return joined;
  }

  TempFolder folder;
  std::vector<std::unique_ptr<DataFrame>> frames;
  ColumnRows rows;  ///< of the joined column
};

TEST_F(ColumnJoinTest, CategoriesMergeByNameInOrderOfAppearance) {
  add(categories({"b", "é"}, {0, 1}));
  add(categories({"é", "a"}, {1, -1}));
  const JoinedColumn joined = join();
  EXPECT_EQ(joined.info.kind, ColumnKind::categorical);
  EXPECT_THAT(joined.levels.to_vector(), ElementsAre("b", "é", "a"));
  EXPECT_THAT(rows.codes, ElementsAre(0, 1, 2, -1));
}

TEST_F(ColumnJoinTest, AnOrderStaysOnlyIfAllHaveTheSameLevels) {
  add(categories({"low", "high"}, {0, 1}, true));
  add(categories({"low", "high"}, {1, 1}, true));
  EXPECT_TRUE(join().info.ordered);
  add(categories({"high"}, {0, 0}, true));
  rows = {};
  EXPECT_FALSE(join().info.ordered);
}

TEST_F(ColumnJoinTest, NumbersTakeATypeThatHoldsAll) {
  add(numbers(DType::int16, {1, 2}));
  add(numbers(DType::int32, {3, 4}));
  EXPECT_EQ(join().info.dtype, DType::int64);
  EXPECT_THAT(rows.integers, ElementsAre(1, 2, 3, 4));
  add(numbers(DType::float32, {5, 6}));
  rows = {};
  EXPECT_EQ(join().info.dtype, DType::float64);
  EXPECT_THAT(rows.numbers, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(ColumnJoinTest, AFrameWithoutTheColumnHasNaN) {
  add(numbers(DType::int32, {1, 2}));
  add(std::nullopt);
  EXPECT_EQ(join().info.dtype, DType::float64);
  ASSERT_EQ(rows.numbers.size(), 4U);
  EXPECT_EQ(rows.numbers[1], 2);
  EXPECT_TRUE(std::isnan(rows.numbers[2]) && std::isnan(rows.numbers[3]));
}

TEST_F(ColumnJoinTest, NumbersBesideCategoriesBecomeText) {
  add(categories({"b"}, {0, -1}));
  add(numbers(DType::int32, {1, 2}));
  EXPECT_EQ(join().info.kind, ColumnKind::nullable_string);
  EXPECT_THAT(rows.strings.to_vector(), ElementsAre("b", "", "1", "2"));
  EXPECT_THAT(rows.missing, ElementsAre(false, true, false, false));
}

}  // namespace
}  // namespace cellmill
