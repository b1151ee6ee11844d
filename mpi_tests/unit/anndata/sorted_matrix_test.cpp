#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "anndata/row_sorter.hpp"
#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Rows × columns, as written and as they must come back.
struct Table {
  std::int64_t rows = 0;
  std::int64_t cols = 0;
  std::vector<float> values;

  [[nodiscard]] float at(std::int64_t row, std::int64_t col) const {
    return values[static_cast<std::size_t>(row * cols + col)];
  }
};

Table random_table(std::int64_t rows, std::int64_t cols, double density) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> uniform;
  Table table{rows, cols, {}};
  for (std::int64_t i = 0; i < rows * cols; ++i) {
    table.values.push_back(uniform(random) < density ? static_cast<float>(i % 100 + 1) : 0.0F);
  }
  return table;
}

/// Rows [rows) of a source, dense.
std::vector<float> dense_rows(const MatrixSource& source, Range rows) {
  CsrChunk chunk;
  source.decode(source.fetch(rows), chunk);
  EXPECT_EQ(chunk.first_row, rows.begin);
  EXPECT_EQ(chunk.n_cols, source.n_cols());
  std::vector<float> values(static_cast<std::size_t>(rows.size() * source.n_cols()), 0.0F);
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    for (std::int64_t k = chunk.indptr[static_cast<std::size_t>(row)];
         k < chunk.indptr[static_cast<std::size_t>(row) + 1]; ++k) {
      const auto at = static_cast<std::size_t>(k);
      values[static_cast<std::size_t>(row * source.n_cols() + chunk.indices[at])] =
          chunk.values[at];
    }
  }
  return values;
}

std::vector<float> rows_of(const Table& table, Range rows) {
  return {table.values.begin() + rows.begin * table.cols,
          table.values.begin() + rows.end * table.cols};
}

class SortedMatrixTest : public testing::Test {
 protected:
  std::unique_ptr<MatrixSource> write_dense_table(const Table& table,
                                                  std::vector<std::int64_t> chunk,
                                                  const std::string& codec) {
    const auto path = next_path();
    {
      const auto root = open_hdf5(path, OpenMode::create);
      ArraySpec spec;
      spec.shape = {table.rows, table.cols};
      spec.chunk_shape = std::move(chunk);
      spec.codec = codec;
      create_element(*root, "X", spec)->write_rows(0, std::as_bytes(std::span(table.values)));
    }
    return open_matrix(*open_store(path), "X");
  }

  struct Csc {
    std::vector<std::int64_t> indptr;
    std::vector<std::int32_t> indices;
    std::vector<float> data;
  };

  static Csc columns_of(const Table& table) {
    Csc csc{{0}, {}, {}};
    for (std::int64_t col = 0; col < table.cols; ++col) {
      for (std::int64_t row = 0; row < table.rows; ++row) {
        if (table.at(row, col) == 0) continue;
        csc.indices.push_back(static_cast<std::int32_t>(row));
        csc.data.push_back(table.at(row, col));
      }
      csc.indptr.push_back(static_cast<std::int64_t>(csc.indices.size()));
    }
    return csc;
  }

  template <class Value = float>
  std::unique_ptr<MatrixSource> write_csc(std::int64_t rows, std::int64_t cols, const Csc& csc,
                                          const std::vector<Value>& data) {
    const auto path = next_path();
    {
      const auto root = open_zarr(path, OpenMode::create);
      const auto x = create_csr_matrix(*root, "X", rows, cols);
      root->set_attributes("X", {{"encoding-type", "csc_matrix"}});
      write_array<std::int64_t>(*x, "indptr", csc.indptr);
      write_array<std::int32_t>(*x, "indices", csc.indices);
      write_array<Value>(*x, "data", data);
    }
    return open_matrix(*open_store(path), "X");
  }
  std::unique_ptr<MatrixSource> write_csc(std::int64_t rows, std::int64_t cols, const Csc& csc) {
    return write_csc(rows, cols, csc, csc.data);
  }

  std::filesystem::path next_path() { return folder_.path() / ("m" + std::to_string(++next_)); }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }

 private:
  TempFolder folder_;
  int next_ = 0;
};

TEST_F(SortedMatrixTest, DenseRowsComeBackWhateverTheChunks) {
  const Table table = random_table(53, 17, 0.3);
  Arena arena(2);
  for (const auto& [chunk, codec] : std::vector<std::tuple<std::vector<std::int64_t>, std::string>>{
           {{53, 17}, "none"}, {{10, 5}, "gzip"}, {{53, 1}, "gzip"}, {{1, 17}, "gzip"}}) {
    const auto source = write_dense_table(table, chunk, codec);
    EXPECT_EQ(source->encoding(), "array");
    EXPECT_FALSE(source->has_rows());
    for (const Range rows : {Range{0, 53}, Range{20, 41}, Range{52, 53}}) {
      source->prepare(rows, folder(), arena);
      EXPECT_EQ(dense_rows(*source, rows), rows_of(table, rows));
    }
  }
}

TEST_F(SortedMatrixTest, NanIsKeptAndZerosOfEitherSignAreNot) {
  const auto source = write_dense_table({2, 3, {0, -0.0F, nan, 4, 0, -1}}, {2, 3}, "none");
  CsrChunk chunk;
  source->decode(source->fetch({0, 2}), chunk);
  EXPECT_THAT(chunk.indptr, ElementsAre(0, 1, 3));
  EXPECT_THAT(chunk.indices, ElementsAre(2, 0, 2));
  EXPECT_TRUE(std::isnan(chunk.values[0]));
}

TEST_F(SortedMatrixTest, ColumnsComeBackAsRows) {
  const Table table = random_table(301, 40, 0.2);
  Arena arena(2);
  const auto source = write_csc(301, 40, columns_of(table));
  EXPECT_EQ(source->encoding(), "csc_matrix");
  source->prepare({100, 250}, folder(), arena);
  EXPECT_EQ(dense_rows(*source, {120, 130}), rows_of(table, {120, 130}));
  // Outside of what was prepared: then all rows are.
  EXPECT_EQ(dense_rows(*source, {0, 301}), rows_of(table, {0, 301}));
}

TEST_F(SortedMatrixTest, WideValuesKeepAllTheirBits) {
  const std::vector<double> data{0.1, 1e300, -3, 16777217};
  const auto source = write_csc(3, 2, {{0, 3, 4}, {2, 0, 2, 1}, {}}, data);
  CsrRows<double> rows;
  source->decode_stored(source->fetch({0, 3}), rows);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 1, 2, 4));
  EXPECT_THAT(rows.indices, ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(rows.values, ElementsAre(1e300, 16777217, 0.1, -3));
  EXPECT_THAT(source->columns({1, 3}), ElementsAre(1, 0, 0));
  // As float32 they are what casts make of them.
  EXPECT_EQ(dense_rows(*source, {2, 3}), (std::vector<float>{0.1F - 3.0F, 0}));
}

TEST_F(SortedMatrixTest, RepeatedEntriesOfAColumnAreAddedUp) {
  const auto source = write_csc(3, 2, {{0, 3, 4}, {2, 0, 2, 1}, {1, 2, 3, 4}});
  EXPECT_EQ(dense_rows(*source, {0, 3}), (std::vector<float>{2, 0, 0, 4, 4, 0}));
}

TEST_F(SortedMatrixTest, OffsetsAreSpreadEvenlyUntilRowsArePrepared) {
  const auto source = write_csc(4, 2, {{0, 4, 4}, {0, 1, 2, 3}, {1, 1, 1, 1}});
  EXPECT_THAT(source->indptr({0, 4}), ElementsAre(0, 1, 2, 3, 4));
  const auto skewed = write_csc(4, 2, {{0, 1, 2}, {3, 3}, {1, 1}});
  Arena arena(1);
  skewed->prepare({0, 4}, folder(), arena);
  EXPECT_THAT(skewed->indptr({2, 4}), ElementsAre(0, 0, 2));
}

TEST_F(SortedMatrixTest, RowsOutsideTheMatrixAreNamed) {
  for (const std::int32_t row : {-1, 3}) {
    const auto source = write_csc(3, 2, {{0, 1, 2}, {1, row}, {1, 1}});
    try {
      (void)source->fetch({0, 3});
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("X/indices: column 1: row " + std::to_string(row) +
                                          " found, expected 0 to 2"));
    }
  }
}

TEST_F(SortedMatrixTest, ColumnOffsetsThatFallOrEndEarlyAreNamed) {
  for (const std::vector<std::int64_t>& indptr :
       std::vector<std::vector<std::int64_t>>{{0, 2, 1}, {1, 1, 2}, {0, 1, 1}, {0, 1, 9}}) {
    const auto source = write_csc(3, 2, {indptr, {1, 2}, {1, 1}});
    EXPECT_THROW((void)source->fetch({0, 3}), Error);
  }
}

TEST_F(SortedMatrixTest, MatricesWithoutRowsOrColumnsAreFine) {
  EXPECT_EQ(write_csc(0, 5, {{0, 0, 0, 0, 0, 0}, {}, {}})->fetch({0, 0}).indptr.size(), 1U);
  const auto no_columns = write_csc(5, 0, {{0}, {}, {}});
  CsrChunk chunk;
  no_columns->decode(no_columns->fetch({0, 5}), chunk);
  EXPECT_EQ(chunk.n_rows(), 5);
  EXPECT_EQ(chunk.nnz(), 0);
}

TEST(RowSorter, SortsMoreThanFitsInMemory) {
  const TempFolder folder;
  constexpr std::int64_t n_rows = 5000;
  constexpr std::int64_t n_values = 4'000'000;  // 48 MB of entries
  RowSorter sorter(n_rows, n_values, folder.path());
  std::vector<std::int64_t> counts(n_rows, 0);
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < n_values; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto row = static_cast<std::int64_t>((state >> 33U) % n_rows);
    // A row's columns count up: they show that the order within a row was kept.
    sorter.add(row, static_cast<std::int32_t>(counts[static_cast<std::size_t>(row)]++),
               static_cast<float>(row));
  }
  const SortedRows sorted = sorter.finish();
  ASSERT_EQ(sorted.nnz(), n_values);
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const SortedRows::Part part = sorted.read({row, row + 1});
    const auto count = static_cast<std::size_t>(counts[static_cast<std::size_t>(row)]);
    ASSERT_EQ(part.columns.size(), count * sizeof(std::int32_t));
    const auto* columns = reinterpret_cast<const std::int32_t*>(part.columns.data());
    const auto* values = reinterpret_cast<const float*>(part.values.data());
    for (std::size_t k = 0; k < count; ++k) {
      ASSERT_EQ(columns[k], static_cast<std::int32_t>(k));
      ASSERT_EQ(values[k], static_cast<float>(row));
    }
  }
}

TEST(RowSorter, SaysThatItNeedsAFolder) {
  RowSorter sorter(1, 1, {});
  try {
    for (int i = 0; i < 10'000'000; ++i) sorter.add(0, i, 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--scratch DIR"));
  }
}

}  // namespace
}  // namespace cellmill
