#include "cellmill/analysis/concat.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "analysis/concat_inputs.hpp"
#include "analysis/concat_rows.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Names = std::vector<std::string>;

class ConcatTest : public testing::Test {
 protected:
  /// One more plate with these genes and so many cells; X, if any, and the layer `counts` are
  /// arrays whose values tell the gene by its place: 0, 1, 2 …
  Group& add(const Names& genes, std::int64_t cells = 2, bool with_x = true) {
    const std::string name = "plate" + std::to_string(options.plates.size() + 1) + ".zarr";
    root = open_zarr(folder.path() / name, OpenMode::create);
    write_anndata_root(*root);
    Strings index;
    for (std::int64_t i = 0; i < cells; ++i) index.push_back("c" + std::to_string(i));
    write_index(*create_dataframe(*root, "obs", {}), index);
    write_index(*create_dataframe(*root, "var", {}), Strings(genes));
    const auto n_genes = static_cast<std::int64_t>(genes.size());
    if (with_x) write_places<float>(*root, "X", cells, n_genes);
    options.plates.push_back(folder.path() / name);
    return *root;
  }

  template <class T>
  static void write_places(Group& parent, const std::string& name, std::int64_t rows,
                           std::int64_t cols) {
    std::vector<T> values;
    for (std::int64_t i = 0; i < rows * cols; ++i) values.push_back(static_cast<T>(i % cols));
    write_dense<T>(parent, name, values, {rows, cols});
  }

  [[nodiscard]] std::string message() const {
    try {
      (void)open_concat_inputs(options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  static std::vector<float> floats(const RawVector<std::byte>& bytes) {
    std::vector<float> values(bytes.size() / sizeof(float));
    convert_elements<float>(DType::float32, bytes, values);
    return values;
  }

  TempFolder folder;
  ConcatOptions options;
  std::unique_ptr<Group> root;
};

TEST_F(ConcatTest, InnerGenesKeepTheFirstPlatesOrder) {
  add({"b", "a", "c"});
  add({"c", "d", "b"});
  const ConcatInputs inputs = open_concat_inputs(options);
  EXPECT_THAT(inputs.var.names.to_vector(), ElementsAre("b", "c"));
  ASSERT_THAT(inputs.matrices, SizeIs(1));
  EXPECT_THAT(inputs.matrices[0].columns->slot,
              ElementsAre(ElementsAre(0, -1, 1), ElementsAre(1, -1, 0)));
}

TEST_F(ConcatTest, OuterGenesAreSortedUnlessThePlatesHaveTheSame) {
  options.join = GeneJoin::outer;
  add({"b", "a"});
  add({"b", "a"});
  EXPECT_THAT(open_concat_inputs(options).var.names.to_vector(), ElementsAre("b", "a"));
  add({"b", "c"});
  EXPECT_THAT(open_concat_inputs(options).var.names.to_vector(), ElementsAre("a", "b", "c"));
}

TEST_F(ConcatTest, WhatAPlateLacksIsNaNInAnArray) {
  options.join = GeneJoin::outer;
  add({"a", "b"}, 1);
  add({"b", "c"}, 1);
  const ConcatInputs inputs = open_concat_inputs(options);
  const JoinedMatrix& x = inputs.matrices.at(0);
  EXPECT_FALSE(x.sparse);
  EXPECT_EQ(x.dtype, DType::float32);
  const auto missing = testing::NanSensitiveFloatEq(std::nanf(""));
  const std::vector<float> first = floats(dense_rows(x, {0, {0, 1}}));
  const std::vector<float> second = floats(dense_rows(x, {1, {0, 1}}));
  EXPECT_THAT(first, ElementsAre(0.0F, 1.0F, missing));
  EXPECT_THAT(second, ElementsAre(missing, 0.0F, 1.0F));
}

TEST_F(ConcatTest, WholeNumbersBecomeFloatsOnlyWhereSomethingIsMissing) {
  options.join = GeneJoin::outer;
  for (const Names& genes : {Names{"a", "b"}, Names{"b", "c"}}) {
    add(genes, 2, false);
    write_places<std::int32_t>(*root->group("layers"), "counts", 2, 2);
    write_places<std::int32_t>(*root->group("obsm"), "where", 2, 3);
  }
  const ConcatInputs inputs = open_concat_inputs(options);
  ASSERT_THAT(inputs.matrices, SizeIs(2));
  EXPECT_EQ(inputs.matrices[0].name, "layers/counts");
  EXPECT_EQ(inputs.matrices[0].dtype, DType::float64);
  EXPECT_EQ(inputs.matrices[1].name, "obsm/where");
  EXPECT_EQ(inputs.matrices[1].dtype, DType::int32);
}

TEST_F(ConcatTest, PlatesWithoutCellsLeaveNoGaps) {
  options.join = GeneJoin::outer;
  add({"a"}, 2, false);
  write_places<std::int32_t>(*root->group("layers"), "counts", 2, 1);
  add({"a"}, 0, false);
  EXPECT_EQ(open_concat_inputs(options).matrices.at(0).dtype, DType::int32);
}

TEST_F(ConcatTest, OneSparsePartMakesTheMatrixSparse) {
  add({"a", "b", "c"}, 2);
  const Group& second = add({"c", "a", "b"}, 2, false);
  static_cast<void>(second);
  const auto x = create_csr_matrix(*root, "X", 2, 3);
  write_array<double>(*x, "data", std::vector<double>{5, 6, 0.1});
  write_array<std::int32_t>(*x, "indices", std::vector<std::int32_t>{0, 1, 2});
  write_array<std::int64_t>(*x, "indptr", std::vector<std::int64_t>{0, 2, 3});
  const ConcatInputs inputs = open_concat_inputs(options);
  const JoinedMatrix& joined = inputs.matrices.at(0);
  EXPECT_TRUE(joined.sparse);
  EXPECT_EQ(joined.dtype, DType::float64);

  const CsrRows<double> dense = sparse_rows(joined, {0, {0, 2}}, {});
  EXPECT_THAT(dense.indptr, ElementsAre(0, 2, 4));  // a zero is not stored
  EXPECT_THAT(dense.indices, ElementsAre(1, 2, 1, 2));
  EXPECT_EQ(count_rows(joined, {0, {0, 2}}), 4);

  FetchedRows fetched;
  joined.parts[1].sparse->fetch({0, 2}, fetched);
  const CsrRows<double> sparse = sparse_rows(joined, {1, {0, 2}}, fetched);
  EXPECT_THAT(sparse.indptr, ElementsAre(0, 2, 3));
  EXPECT_THAT(sparse.indices, ElementsAre(0, 2, 1));  // c, a, b are columns 2, 0, 1
  EXPECT_THAT(sparse.values, ElementsAre(6, 5, 0.1));
  EXPECT_EQ(count_rows(joined, {1, {0, 2}}), 3);
}

TEST_F(ConcatTest, WhatOnePlateLacksIsLeftOutOfAnInnerJoinOnly) {
  add({"a"});
  write_places<float>(*root->group("layers"), "extra", 2, 1);
  add({"a"});
  EXPECT_THAT(open_concat_inputs(options).left_out,
              ElementsAre("layers/extra: plate2.zarr has none"));
  options.join = GeneJoin::outer;
  const ConcatInputs outer = open_concat_inputs(options);
  EXPECT_THAT(outer.left_out, IsEmpty());
  EXPECT_TRUE(outer.matrices.at(1).parts.at(1).is_missing());
}

TEST_F(ConcatTest, WhatIsNoMatrixIsLeftOut) {
  for (int plate = 0; plate < 2; ++plate) {
    add({"a"});
    write_texts(*root->group("obsm"), "texts", Strings(Names{"x", "y"}));
  }
  EXPECT_THAT(open_concat_inputs(options).left_out,
              ElementsAre("obsm/texts: in plate1.zarr it is neither a matrix nor a table"));
}

TEST_F(ConcatTest, RawNeedsAllPlatesAndAMatrix) {
  for (int plate = 0; plate < 2; ++plate) {
    add({"a"});
    const auto raw = create_raw(*root);
    write_index(*create_dataframe(*raw, "var", {}), Strings(Names{"a", "r"}));
    if (plate == 0) {
      write_places<float>(*raw, "X", 2, 2);
    } else {
      write_texts(*raw, "X", Strings(Names{"no", "matrix"}));
    }
  }
  const ConcatInputs inputs = open_concat_inputs(options);
  EXPECT_FALSE(inputs.raw_var.has_value());
  EXPECT_THAT(inputs.left_out, ElementsAre(HasSubstr("raw/X: in plate2.zarr")));
}

TEST_F(ConcatTest, ALayerOfTheWrongSizeIsAnError) {
  add({"a"});
  write_places<float>(*root->group("layers"), "extra", 3, 1);
  EXPECT_THAT(message(),
              testing::AllOf(HasSubstr("layers/extra"), HasSubstr("3 rows found, expected 2")));
}

TEST_F(ConcatTest, PlatesMayHaveOneNameWhereNothingTellsThemApart) {
  add({"a"});
  add({"a"});
  options.keys = {"p", "p"};
  EXPECT_THAT(message(), HasSubstr("two plates are named p"));
  options.label = "";
  EXPECT_THAT(message(), HasSubstr("two plates are named p"));  // the index still tells them
  options.index_unique = "";
  EXPECT_EQ(message(), "no error");
}

TEST_F(ConcatTest, BlocksCoverTheRowsOfEachRankOnce) {
  add({"a", "b"}, 5000);
  add({"a", "b"}, 0);
  add({"a", "b"}, 3000);
  const ConcatInputs inputs = open_concat_inputs(options);
  Arena arena(1);
  for (const int ranks : {1, 3}) {
    run_as_threads(ranks, [&](Communicator& comm) {
      const std::vector<const MatrixSource*> xs(3, nullptr);
      const SegmentPlan plan = plan_segments(inputs.rows(), xs, comm, arena);
      std::vector<std::int64_t> rows(8000);
      for (const CopyBlock& block : copy_blocks(inputs.matrices[0], plan, 1 << 14)) {
        EXPECT_NE(block.source, 1U);
        EXPECT_GT(block.rows.size(), 0);
        for (std::int64_t row = block.rows.begin; row < block.rows.end; ++row) {
          ++rows[static_cast<std::size_t>(row + (block.source == 0 ? 0 : 5000))];
        }
      }
      comm.all_reduce_sum(rows);
      EXPECT_EQ(rows, std::vector<std::int64_t>(8000, 1));
    });
  }
}

TEST(ConcatSummaryText, NamesPlatesAndMatrices) {
  ConcatSummary summary;
  summary.plates = {{"plate1", 1200}, {"long plate", 3}};
  summary.matrices = {{"X", "csr_matrix", "float32", 2000, 12'345}};
  summary.n_cells = 1203;
  summary.n_genes = 2000;
  summary.peak_memory = {1 << 20};
  summary.output = "out.zarr";
  const std::string text = summary_text(summary);
  for (const char* part : {"long plate", "1,200", "X: csr_matrix of float32, 2,000 columns, 12,345",
                           "1,203 cells x 2,000 genes", "written: out.zarr"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(summary_json(summary)["matrices"][0]["stored"], 12'345);
}

}  // namespace
}  // namespace cellmill
