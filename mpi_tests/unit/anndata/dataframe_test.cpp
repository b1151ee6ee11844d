#include "cellmill/anndata/dataframe.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Strings strings(const std::vector<std::string>& values) { return Strings(values); }

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// The same dataframe in every kind of store.
class DataFrameTest : public testing::TestWithParam<StoreFormat> {
 protected:
  std::unique_ptr<Group> create() {
    path_ = folder_.path() / ("plate" + std::to_string(++next_));
    return GetParam() == StoreFormat::hdf5 ? open_hdf5(path_, OpenMode::create)
                                           : open_zarr(path_, OpenMode::create, GetParam());
  }
  [[nodiscard]] DataFrame open() const { return DataFrame(open_store(path_)->group("obs")); }

  /// A frame of one column, written and opened again.
  DataFrame with_column(const ColumnInfo& info, const ColumnRows& rows, const Strings& levels = {},
                        std::int64_t n_rows = 3) {
    {
      const auto root = create();
      const auto frame = create_dataframe(*root, "obs", {info.name});
      Strings names;
      for (std::int64_t i = 0; i < n_rows; ++i) names.push_back("cell" + std::to_string(i));
      write_index(*frame, names);
      write_column(*frame, info, rows, levels);
    }
    return open();
  }

 private:
  TempFolder folder_;
  std::filesystem::path path_;
  int next_ = 0;
};

TEST_P(DataFrameTest, NumbersOfEveryTypeComeBack) {
  for (const DType dtype : {DType::int8, DType::int16, DType::int32, DType::int64, DType::uint8,
                            DType::uint16, DType::uint32, DType::uint64}) {
    ColumnRows rows;
    rows.integers = {1, 0, 100};
    const DataFrame frame = with_column({"n", ColumnKind::numeric, dtype}, rows);
    EXPECT_EQ(frame.column("n").dtype, dtype);
    EXPECT_EQ(frame.read("n", {0, 3}).integers, rows.integers);
    EXPECT_TRUE(frame.read("n", {0, 3}).numbers.empty());
  }
  for (const DType dtype : {DType::float32, DType::float64}) {
    ColumnRows rows;
    rows.numbers = {1.5, -0.25, std::numeric_limits<double>::infinity()};
    const DataFrame frame = with_column({"n", ColumnKind::numeric, dtype}, rows);
    EXPECT_EQ(frame.read("n", {0, 3}).numbers, rows.numbers);
    EXPECT_EQ(frame.read("n", {1, 2}).numbers, std::vector<double>{-0.25});
  }
}

TEST_P(DataFrameTest, NotANumberStaysSo) {
  ColumnRows rows;
  rows.numbers = {std::numeric_limits<double>::quiet_NaN(), 1, 2};
  const DataFrame frame = with_column({"n", ColumnKind::numeric, DType::float64}, rows);
  EXPECT_TRUE(std::isnan(frame.read("n", {0, 1}).numbers[0]));
}

TEST_P(DataFrameTest, NumbersThatDontFitAreRefused) {
  ColumnRows rows;
  rows.integers = {1, 300, 2};
  EXPECT_THAT(message_of([&] {
                with_column({"n", ColumnKind::numeric, DType::int8}, rows);
              }),
              HasSubstr("column n: 300 found"));
}

TEST_P(DataFrameTest, BooleansAndTextComeBack) {
  ColumnRows truths;
  truths.integers = {1, 0, 1};
  const DataFrame flags = with_column({"doublet", ColumnKind::boolean, DType::boolean}, truths);
  EXPECT_EQ(flags.column("doublet").kind, ColumnKind::boolean);
  EXPECT_EQ(flags.read("doublet", {0, 3}).integers, truths.integers);
  ColumnRows text;
  text.strings = strings({"γδ", "", "T cell"});
  const DataFrame names = with_column({"name", ColumnKind::string, DType::string}, text);
  EXPECT_EQ(names.column("name").kind, ColumnKind::string);
  EXPECT_THAT(names.read("name", {0, 3}).strings.to_vector(), ElementsAre("γδ", "", "T cell"));
}

TEST_P(DataFrameTest, CategoriesComeBackWithMissingOnes) {
  ColumnRows rows;
  rows.codes = {1, -1, 0};
  const DataFrame frame = with_column({"type", ColumnKind::categorical, DType::string, true}, rows,
                                      strings({"ä", "b"}));
  const ColumnInfo& info = frame.column("type");
  EXPECT_EQ(info.kind, ColumnKind::categorical);
  EXPECT_EQ(info.dtype, DType::string);
  EXPECT_TRUE(info.ordered);
  EXPECT_EQ(frame.read("type", {0, 3}).codes, rows.codes);
  EXPECT_THAT(frame.levels("type").to_vector(), ElementsAre("ä", "b"));
}

TEST_P(DataFrameTest, CategoriesMayBeNumbers) {
  ColumnRows rows;
  rows.codes = {1, 1, 0};
  DataFrame frame =
      with_column({"dose", ColumnKind::categorical, DType::float64}, rows, strings({"0.5", "2.0"}));
  EXPECT_EQ(frame.column("dose").dtype, DType::float64);
  EXPECT_FALSE(frame.column("dose").ordered);
  EXPECT_THAT(frame.levels("dose").to_vector(), ElementsAre("0.5", "2.0"));
  EXPECT_THAT(frame.numeric_levels("dose"), ElementsAre(0.5, 2.0));
  frame = with_column({"day", ColumnKind::categorical, DType::int32}, rows, strings({"-3", "14"}));
  EXPECT_THAT(frame.levels("day").to_vector(), ElementsAre("-3", "14"));
  EXPECT_THAT(frame.numeric_levels("day"), ElementsAre(-3.0, 14.0));
  frame = with_column({"on", ColumnKind::categorical, DType::boolean}, rows,
                      strings({"False", "True"}));
  EXPECT_THAT(frame.levels("on").to_vector(), ElementsAre("False", "True"));
}

TEST_P(DataFrameTest, CodesTakeTheSmallestTypeThatHoldsThem) {
  for (const auto& [count, type] :
       {std::pair(127, DType::int8), {128, DType::int16}, {40'000, DType::int32}}) {
    Strings levels;
    for (int i = 0; i < count; ++i) levels.push_back(std::to_string(i));
    ColumnRows rows;
    rows.codes = {count - 1, 0, -1};
    const auto frame = with_column({"c", ColumnKind::categorical, DType::string}, rows, levels);
    EXPECT_EQ(frame.read("c", {0, 3}).codes, rows.codes) << dtype_name(type);
  }
}

TEST_P(DataFrameTest, CodesWithoutACategoryAreNamed) {
  ColumnRows rows;
  rows.codes = {0, 1, 5};
  const DataFrame frame =
      with_column({"type", ColumnKind::categorical, DType::string}, rows, strings({"a", "b"}));
  EXPECT_EQ(frame.read("type", {0, 2}).codes, (std::vector<std::int32_t>{0, 1}));
  EXPECT_THAT(message_of([&] {
                (void)frame.read("type", {1, 3});
              }),
              HasSubstr("obs/type/codes: row 2: code 5 found, expected −1 to 1"));
}

TEST_P(DataFrameTest, NullableColumnsKeepTheirMask) {
  ColumnRows integers;
  integers.integers = {4, 1, -6};
  integers.missing = {false, true, false};
  DataFrame frame = with_column({"n", ColumnKind::nullable_integer, DType::int64}, integers);
  EXPECT_EQ(frame.column("n").kind, ColumnKind::nullable_integer);
  EXPECT_EQ(frame.read("n", {0, 3}).integers, integers.integers);
  EXPECT_EQ(frame.read("n", {0, 3}).missing, integers.missing);
  integers.integers = {1, 0, 0};
  frame = with_column({"b", ColumnKind::nullable_boolean, DType::boolean}, integers);
  EXPECT_EQ(frame.read("b", {1, 3}).missing, (std::vector<bool>{true, false}));
  ColumnRows text;
  text.strings = strings({"a", "", "ü"});
  text.missing = {false, true, false};
  frame = with_column({"s", ColumnKind::nullable_string, DType::string}, text);
  EXPECT_EQ(frame.read("s", {0, 3}).strings, text.strings);
  EXPECT_EQ(frame.read("s", {0, 3}).missing, text.missing);
}

TEST_P(DataFrameTest, NoRowsAndNoColumnsAreFine) {
  const DataFrame empty = with_column({"n", ColumnKind::numeric, DType::float32}, {}, {}, 0);
  EXPECT_EQ(empty.n_rows(), 0);
  EXPECT_TRUE(empty.read("n", {0, 0}).numbers.empty());
  {
    const auto root = create();
    write_index(*create_dataframe(*root, "obs", {}), strings({"a", "b"}));
  }
  const DataFrame bare = open();
  EXPECT_EQ(bare.n_rows(), 2);
  EXPECT_TRUE(bare.columns().empty());
  EXPECT_THAT(bare.index({1, 2}).to_vector(), ElementsAre("b"));
}

TEST_P(DataFrameTest, ColumnsAreWrittenInBlocks) {
  constexpr std::int64_t n = 1000;
  const RowLayout layout{.chunk_rows = 100, .shard_rows = 0, .codec = "gzip"};
  {
    const auto root = create();
    const auto frame = create_dataframe(*root, "obs", {"type", "n"}, "barcode");
    const auto index = create_index(*frame, n, layout, "barcode");
    const auto type = create_column(*frame, {"type", ColumnKind::categorical, DType::string}, n,
                                    strings({"a", "b", "c"}), layout);
    const auto number =
        create_column(*frame, {"n", ColumnKind::nullable_integer, DType::int32}, n, {}, layout);
    EXPECT_EQ(200 % type->unit_rows(), 0);
    for (std::int64_t first = 0; first < n; first += 200) {
      Strings names;
      ColumnRows codes;
      ColumnRows numbers;
      for (std::int64_t row = first; row < first + 200; ++row) {
        names.push_back(fmt::format("c{}", row));
        codes.codes.push_back(static_cast<std::int32_t>(row % 3));
        numbers.integers.push_back(row);
        numbers.missing.push_back(row % 2 == 0);
      }
      index->write_strings(first, names);
      type->write(first, codes);
      number->write(first, numbers);
    }
  }
  const DataFrame frame = open();
  EXPECT_EQ(frame.n_rows(), n);
  EXPECT_EQ(frame.index_name(), "barcode");
  EXPECT_THAT(frame.index({999, 1000}).to_vector(), ElementsAre("c999"));
  EXPECT_THAT(frame.read("type", {299, 302}).codes, ElementsAre(2, 0, 1));
  EXPECT_THAT(frame.read("n", {399, 401}).integers, ElementsAre(399, 400));
  EXPECT_THAT(frame.read("n", {399, 401}).missing, ElementsAre(false, true));
}

TEST_P(DataFrameTest, UnknownColumnsAreListedButNotRead) {
  {
    const auto root = create();
    const auto frame = create_dataframe(*root, "obs", {"odd", "n"});
    write_index(*frame, strings({"a"}));
    frame->create_group("odd")->set_attributes("", {{"encoding-type", "awkward-array"}});
    ColumnRows rows;
    rows.numbers = {1};
    write_column(*frame, {"n", ColumnKind::numeric, DType::float64}, rows);
  }
  const DataFrame frame = open();
  EXPECT_EQ(frame.columns().size(), 2U);
  EXPECT_EQ(frame.column("odd").kind, ColumnKind::unsupported);
  EXPECT_THAT(message_of([&] {
                (void)frame.read("odd", {0, 1});
              }),
              HasSubstr("obs/odd: can't be read: its encoding-type is 'awkward-array'"));
  EXPECT_EQ(frame.read("n", {0, 1}).numbers, std::vector<double>{1});
}

TEST_P(DataFrameTest, AbsentColumnsNameTheNearest) {
  ColumnRows rows;
  rows.strings = strings({"full", "minimal", "full"});
  const DataFrame frame = with_column({"pass_filter", ColumnKind::string, DType::string}, rows);
  EXPECT_FALSE(frame.has("pass_fliter"));
  EXPECT_THAT(message_of([&] { (void)frame.column("pass_fliter"); }),
              HasSubstr("obs: there is no column 'pass_fliter'; did you mean 'pass_filter'?"));
  EXPECT_THAT(message_of([&] { (void)frame.levels("pass_filter"); }),
              HasSubstr("is not categorical"));
}

TEST_P(DataFrameTest, ColumnsOfAnotherLengthAreRefused) {
  ColumnRows rows;
  rows.numbers = {1, 2};
  EXPECT_THAT(message_of([&] {
                with_column({"n", ColumnKind::numeric, DType::float64}, rows);
              }),
              HasSubstr("obs/n: 2 rows found, expected 3"));
}

TEST_P(DataFrameTest, FramesWithoutTheirParts) {
  create()->create_group("obs");
  EXPECT_THAT(message_of([&] { (void)open(); }), HasSubstr("obs: attribute _index: nothing found"));
  {
    const auto root = create();
    const auto frame = create_dataframe(*root, "obs", {"n"});
    write_index(*frame, strings({"a"}));
  }
  EXPECT_THAT(message_of([&] { (void)open(); }), HasSubstr("column-order lists 'n'"));
}

TEST_P(DataFrameTest, NamesWithSlashesAreRefused) {
  const auto root = create();
  EXPECT_THAT(message_of([&] { write_text(*root, "a/b", "x"); }), HasSubstr("'a/b'"));
}

TEST_P(DataFrameTest, ManyThreadsMayRead) {
  ColumnRows rows;
  for (int i = 0; i < 5000; ++i) rows.codes.push_back(i % 2);
  const DataFrame frame = with_column({"type", ColumnKind::categorical, DType::string}, rows,
                                      strings({"a", "b"}), 5000);
  std::vector<std::thread> threads;
  std::vector<int> right(4, 0);
  for (std::size_t thread = 0; thread < right.size(); ++thread) {
    threads.emplace_back([&, thread] {
      for (int round = 0; round < 10; ++round) {
        const bool same = frame.read("type", {0, 5000}).codes == rows.codes &&
                          frame.index({4999, 5000})[0] == "cell4999" &&
                          frame.levels("type").size() == 2;
        right[thread] += same ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(right, testing::Each(10));
}

INSTANTIATE_TEST_SUITE_P(Stores, DataFrameTest,
                         testing::Values(StoreFormat::hdf5, StoreFormat::zarr2, StoreFormat::zarr3),
                         [](const auto& info) {
                           return info.param == StoreFormat::hdf5    ? "Hdf5"
                                  : info.param == StoreFormat::zarr2 ? "Zarr2"
                                                                     : "Zarr3";
                         });

}  // namespace
}  // namespace cellmill
