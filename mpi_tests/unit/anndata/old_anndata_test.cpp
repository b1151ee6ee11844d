#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/store.hpp"
#include "shared_data.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

Strings strings(const std::vector<std::string>& values) { return Strings(values); }

/// Two cells, three genes, as writers before anndata 0.8 left them, in HDF5 and Zarr.
class OldAnnData : public testing::TestWithParam<StoreFormat> {
 protected:
  std::unique_ptr<Group> create() {
    auto root = GetParam() == StoreFormat::hdf5 ? open_hdf5(path, OpenMode::create)
                                                : open_zarr(path, OpenMode::create, GetParam());
    write_frame(*root, "obs", {"c0", "c1"});
    write_frame(*root, "var", {"g0", "g1", "g2"});
    return root;
  }

  static void write_frame(Group& root, const std::string& name,
                          const std::vector<std::string>& names) {
    const auto frame = root.create_group(name);
    write_string_array(*frame, "index", strings(names));
    frame->set_attributes("", {{"encoding-type", "dataframe"},
                               {"encoding-version", "0.1.0"},
                               {"_index", "index"},
                               {"column-order", json::array()}});
  }

  static void add_column(Group& frame, const std::string& name) {
    json order = frame.attributes()["column-order"];
    order.push_back(name);
    frame.set_attributes("", {{"column-order", order}});
  }

  /// codes and `__categories/<name>`; the attribute holds `pointer`.
  static void write_categorical(Group& frame, const std::string& name, const json& pointer,
                                const json& ordered) {
    write_array<std::int8_t>(frame, name, std::vector<std::int8_t>{1, -1});
    write_string_array(frame, "__categories/" + name, strings({"a", "b"}));
    frame.set_attributes("__categories/" + name, {{"ordered", ordered}});
    frame.set_attributes(name, {{"categories", pointer}});
    add_column(frame, name);
  }

  /// A sparse matrix of `rows` rows, each with a 2 in column 1.
  static void write_sparse(Group& parent, const std::string& name, std::int64_t rows,
                           const json& attributes) {
    const auto group = parent.create_group(name);
    std::vector<std::int32_t> indptr;
    for (std::int32_t i = 0; i <= rows; ++i) indptr.push_back(i);
    const auto count = static_cast<std::size_t>(rows);
    write_array<float>(*group, "data", std::vector<float>(count, 2.0F));
    write_array<std::int32_t>(*group, "indices", std::vector<std::int32_t>(count, 1));
    write_array<std::int32_t>(*group, "indptr", indptr);
    group->set_attributes("", attributes);
  }

  TempFolder folder;
  fs::path path = folder.path() / "old";
};

TEST_P(OldAnnData, ColumnsPointToTheirCategories) {
  {
    const auto root = create();
    const auto obs = root->group("obs");
    write_categorical(*obs, "absolute", "/obs/__categories/absolute", true);
    write_categorical(*obs, "relative", "__categories/relative", false);
    write_categorical(*obs, "dangling", "/obs/nowhere", 1);
    write_array<double>(*obs, "score", std::vector<double>{0.5, 1.5});
    add_column(*obs, "score");
  }
  const auto data = AnnData::open(path);
  const DataFrame& obs = data->obs();
  EXPECT_EQ(obs.index_name(), "index");
  EXPECT_THAT(obs.index({0, 2}).to_vector(), ElementsAre("c0", "c1"));
  for (const char* name : {"absolute", "relative", "dangling"}) {
    EXPECT_EQ(obs.column(name).kind, ColumnKind::categorical) << name;
    EXPECT_THAT(obs.levels(name).to_vector(), ElementsAre("a", "b")) << name;
    EXPECT_THAT(obs.read(name, {0, 2}).codes, ElementsAre(1, -1)) << name;
  }
  EXPECT_TRUE(obs.column("absolute").ordered);
  EXPECT_FALSE(obs.column("relative").ordered);
  EXPECT_TRUE(obs.column("dangling").ordered);
  EXPECT_THAT(obs.read("score", {0, 2}).numbers, ElementsAre(0.5, 1.5));
  EXPECT_EQ(data->root().kind("obs/__categories"), NodeKind::none);
  EXPECT_EQ(data->root().attributes("obs")["encoding-version"], "0.2.0");
}

TEST_P(OldAnnData, CategoriesThatAreNotThereMakeTheColumnUnreadable) {
  {
    const auto root = create();
    const auto obs = root->group("obs");
    write_array<std::int8_t>(*obs, "x", std::vector<std::int8_t>{0, 1});
    obs->set_attributes("x", {{"categories", "__categories/x"}});
    add_column(*obs, "x");
  }
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->obs().column("x").kind, ColumnKind::unsupported);
}

TEST_P(OldAnnData, FramesWithoutEncodingAreKnownByTheirIndex) {
  {
    auto root = create();
    const auto frame = root->create_group("obsm")->create_group("frame");
    write_string_array(*frame, "_index", strings({"c0", "c1"}));
    write_array<std::int64_t>(*frame, "n", std::vector<std::int64_t>{3, 4});
    const auto nullable = frame->create_group("maybe");
    write_array<std::int32_t>(*nullable, "values", std::vector<std::int32_t>{1, 0});
    write_array<bool>(*nullable, "mask", std::array{false, true});
    const auto category = frame->create_group("type");
    write_array<std::int8_t>(*category, "codes", std::vector<std::int8_t>{0, 0});
    write_string_array(*category, "categories", strings({"T"}));
    frame->set_attributes("", {{"_index", "_index"}});
  }
  const DataFrame frame(open_anndata_store(path)->group("obsm/frame"));
  EXPECT_EQ(frame.columns().size(), 3U);
  EXPECT_THAT(frame.read("n", {0, 2}).integers, ElementsAre(3, 4));
  EXPECT_EQ(frame.column("maybe").kind, ColumnKind::nullable_integer);
  EXPECT_THAT(frame.read("maybe", {0, 2}).missing, ElementsAre(false, true));
  EXPECT_EQ(frame.column("type").kind, ColumnKind::categorical);
}

TEST_P(OldAnnData, RowsWithoutNamesAreNumbered) {
  {
    const auto root = create();
    const auto frame = root->create_group("obsm")->create_group("frame");
    write_array<double>(*frame, "x", std::vector<double>{1, 2});
    frame->set_attributes("", {{"_index", "_index"}, {"column-order", {"x"}}});
  }
  const DataFrame frame(open_anndata_store(path)->group("obsm/frame"));
  EXPECT_THAT(frame.index({0, 2}).to_vector(), ElementsAre("0", "1"));
}

TEST_P(OldAnnData, ElementsWithoutEncodingGetTheOneTheyLookLike) {
  {
    const auto root = create();
    const auto uns = root->create_group("uns");
    write_string_scalar(*uns, "word", "x");
    write_scalar<double>(*uns, "number", 1.5);
    write_string_array(*uns, "words", strings({"x", "y"}));
    write_array<double>(*uns->create_group("nested"), "numbers", std::vector<double>{1});
    write_scalar<double>(*uns, "marked", 1.5);
    uns->set_attributes("marked", {{"encoding-type", "mine"}});
  }
  const auto root = open_anndata_store(path);
  const auto type = [&](const char* name) { return root->attributes(name)["encoding-type"]; };
  EXPECT_EQ(type(""), "anndata");
  EXPECT_EQ(type("uns"), "dict");
  EXPECT_EQ(type("uns/word"), "string");
  EXPECT_EQ(type("uns/number"), "numeric-scalar");
  EXPECT_EQ(type("uns/words"), "string-array");
  EXPECT_EQ(type("uns/nested"), "dict");
  EXPECT_EQ(type("uns/nested/numbers"), "array");
  EXPECT_EQ(type("uns/marked"), "mine");
}

TEST_P(OldAnnData, OldSparseGroupsAreMatrices) {
  {
    const auto root = create();
    write_sparse(*root, "X", 2, {{"h5sparse_format", "csr"}, {"h5sparse_shape", {2, 3}}});
    const auto layers = root->create_group("layers");
    write_sparse(*layers, "t", 3, {{"h5sparse_format", "csc"}, {"h5sparse_shape", {2, 3}}});
  }
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->x().encoding(), "csr_matrix");
  EXPECT_EQ(data->x().nnz(), 2);
  EXPECT_EQ(data->root().attributes("layers/t")["encoding-type"], "csc_matrix");
  EXPECT_EQ(data->root().attributes("layers/t")["shape"], (json{2, 3}));
}

TEST_P(OldAnnData, DottedRawIsRaw) {
  {
    const auto root = create();
    write_sparse(*root, "raw.X", 2, {{"h5sparse_format", "csr"}, {"h5sparse_shape", {2, 4}}});
    write_frame(*root, "raw.var", {"g0", "g1", "g2", "g3"});
  }
  const auto root = open_anndata_store(path);
  EXPECT_THAT(root->keys(), ElementsAre("obs", "raw", "var"));
  EXPECT_EQ(root->attributes("raw")["encoding-type"], "raw");
  EXPECT_EQ(open_matrix(*root, "raw/X")->n_cols(), 4);
  EXPECT_EQ(DataFrame(root->group("raw/var")).n_rows(), 4);
}

TEST_P(OldAnnData, GraphsMoveFromUnsToObsp) {
  {
    const auto root = create();
    const auto neighbors = root->create_group("uns")->create_group("neighbors");
    write_sparse(
        *neighbors, "distances", 2,
        {{"encoding-type", "csr_matrix"}, {"encoding-version", "0.1.0"}, {"shape", {2, 2}}});
    write_array<float>(*neighbors, "connectivities", std::vector<float>{0, 1, 1, 0}, {2, 2});
    write_scalar<std::int64_t>(*neighbors, "n_neighbors", 15);
    write_array<float>(*root->create_group("obsp"), "kept", std::vector<float>{0, 1, 1, 0}, {2, 2});
  }
  const auto root = open_anndata_store(path);
  EXPECT_THAT(root->group("obsp")->keys(), ElementsAre("connectivities", "distances", "kept"));
  EXPECT_EQ(open_matrix(*root, "obsp/distances")->n_rows(), 2);
  EXPECT_THAT(root->group("uns/neighbors")->keys(), ElementsAre("n_neighbors"));
  EXPECT_EQ(root->attributes("uns/neighbors")["encoding-type"], "dict");
}

TEST_P(OldAnnData, ViewsAreReadOnly) {
  create();
  const auto root = open_anndata_store(path);
  EXPECT_THROW((void)root->create_group("layers"), Error);
}

INSTANTIATE_TEST_SUITE_P(Stores, OldAnnData,
                         testing::Values(StoreFormat::hdf5, StoreFormat::zarr2,
                                         StoreFormat::zarr3));

TEST(OldAnnDataFiles, CategoriesAreFoundByReference) {
  CELLMILL_SHARED_FILE(path, "formats/zellkonverter/krumsiek11.h5ad");
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->obs().column("cell_type").kind, ColumnKind::categorical);
  EXPECT_EQ(data->obs().levels("cell_type").size(), 5);
  EXPECT_EQ(data->n_obs(), 640);
}

TEST(OldAnnDataFiles, BytesAreText) {
  CELLMILL_SHARED_FILE(path, "formats/duckdb_extension/test_int32_codes.h5ad");
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->obs().index({0, 1})[0], "cell_0");
  EXPECT_EQ(data->var().column("gene_name").dtype, DType::string);
  EXPECT_EQ(data->var().column("gene_length").dtype, DType::int64);
}

TEST(OldAnnDataFiles, ModernOnesNeedNoView) {
  CELLMILL_SHARED_FILE(path, "formats/anndataR/example.h5ad");
  EXPECT_EQ(open_anndata_store(path)->attributes(), open_store(path)->attributes());
  EXPECT_EQ(open_anndata_store(path)->attributes("X/data"), json::object());
}

}  // namespace
}  // namespace cellmill
