#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/info.hpp"
#include "shared_data.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;

/// A Zarr v2 store of anndata before 0.7, whose obs and var are tables in one array.
class OldTables : public testing::Test {
 protected:
  void SetUp() override { (void)open_zarr(path, OpenMode::create, StoreFormat::zarr2); }

  [[nodiscard]] std::unique_ptr<Group> update() const { return open_zarr(path, OpenMode::update); }

  /// \param rows the bytes of all rows
  void write_table(const std::string& name, const char* dtype, std::int64_t count,
                   const std::string& rows) const {
    fs::create_directories(path / name);
    std::ofstream(path / name / ".zarray")
        << json{{"zarr_format", 2},      {"shape", {count}},
                {"chunks", {count}},     {"dtype", json::parse(dtype)},
                {"compressor", nullptr}, {"filters", nullptr},
                {"fill_value", nullptr}, {"order", "C"}};
    std::ofstream(path / name / "0", std::ios::binary) << rows;
  }

  /// Two cells: `id`, `type` (codes) and `n`; three genes: `id` and `type`.
  void write_tables() const {
    using namespace std::string_literals;
    write_table("obs", R"([["id","|S2"],["type","|i1"],["n","<i2"]])", 2,
                "c0\x01\x05\x00"s + "c1\xff\x06\x01"s);
    write_table("var", R"([["id","|S2"],["type","|i1"]])", 3, "g0\x00g1\x02g2\x01"s);
  }

  static void write_levels(Group& uns, const std::string& name,
                           const std::vector<std::string>& levels) {
    write_string_array(uns, name, Strings(levels));
  }

  TempFolder folder;
  fs::path path = folder.path() / "old.zarr";
};

TEST_F(OldTables, TheFirstFieldIsTheIndexAndTheOthersAreColumns) {
  write_tables();
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->obs().index_name(), "id");
  EXPECT_THAT(data->obs().index({0, 2}).to_vector(), ElementsAre("c0", "c1"));
  EXPECT_THAT(data->var().index({1, 3}).to_vector(), ElementsAre("g1", "g2"));
  EXPECT_EQ(data->obs().columns().size(), 2U);
  EXPECT_THAT(data->obs().read("n", {0, 2}).integers, ElementsAre(5, 262));
  EXPECT_THAT(data->obs().read("type", {0, 2}).integers, ElementsAre(1, -1));
}

TEST_F(OldTables, CategoriesLeaveUns) {
  write_tables();
  {
    const auto uns = update()->create_group("uns");
    write_levels(*uns, "type_categories", {"a", "b"});
    write_levels(*uns, "other_categories", {"x"});
    write_levels(*uns, "type_colors", {"red", "blue"});
  }
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->obs().column("type").kind, ColumnKind::categorical);
  EXPECT_THAT(data->obs().levels("type").to_vector(), ElementsAre("a", "b"));
  EXPECT_THAT(data->obs().read("type", {0, 2}).codes, ElementsAre(1, -1));
  // var has a column of that name too, but with codes above those categories.
  EXPECT_EQ(data->var().column("type").kind, ColumnKind::numeric);
  EXPECT_THAT(data->root().group("uns")->keys(), ElementsAre("other_categories", "type_colors"));
}

TEST_F(OldTables, OneCategoryMayBeAScalar) {
  using namespace std::string_literals;
  write_tables();
  write_table("obs", R"([["id","|S2"],["type","|i1"]])", 2, "c0\x00"s + "c1\xff"s);
  write_string_scalar(*update()->create_group("uns"), "type_categories", "only");
  const auto data = AnnData::open(path);
  EXPECT_THAT(data->obs().levels("type").to_vector(), ElementsAre("only"));
  EXPECT_THAT(data->obs().read("type", {0, 2}).codes, ElementsAre(0, -1));
}

TEST_F(OldTables, ObsmIsAGroupOfItsFields) {
  using namespace std::string_literals;
  write_tables();
  write_table("obsm", R"([["X_a","|u1",[2]],["X_b","|u1",[1]]])", 2, "\x01\x02\x03\x04\x05\x06"s);
  const auto root = open_anndata_store(path);
  EXPECT_EQ(root->attributes("obsm")["encoding-type"], "dict");
  EXPECT_THAT(root->group("obsm")->keys(), ElementsAre("X_a", "X_b"));
  EXPECT_THAT(root->array("obsm/X_a")->info().shape, ElementsAre(2, 2));
  EXPECT_THAT(read_all<std::int32_t>(*root->array("obsm/X_a")), ElementsAre(1, 2, 4, 5));
}

TEST_F(OldTables, DottedRawVarMayBeATable) {
  using namespace std::string_literals;
  write_tables();
  write_table("raw.var", R"([["id","|S2"],["n","|u1"]])", 1, "g7\x04"s);
  const DataFrame var(open_anndata_store(path)->group("raw/var"));
  EXPECT_EQ(var.index({0, 1})[0], "g7");
  EXPECT_EQ(var.read("n", {0, 1}).integers.front(), 4);
}

TEST_F(OldTables, OtherTablesPassThrough) {
  using namespace std::string_literals;
  write_tables();
  (void)update()->create_group("uns");
  write_table("uns/genes", R"([["name","|S2"],["n","|u1"]])", 1, "g7\x04"s);
  const auto root = open_anndata_store(path);
  EXPECT_EQ(root->attributes("uns/genes")["encoding-type"], "rec-array");
  EXPECT_EQ(root->field("uns/genes", "name")->read_strings({0, 1})[0], "g7");
  EXPECT_THROW((void)root->field("obs/id", "name"), Error);
  EXPECT_EQ(describe_anndata(path)["uns"]["genes"]["dtype"], "table");
}

TEST(OldTablesFiles, Anndata05IsReadWhole) {
  CELLMILL_SHARED_FILE(path, "formats/anndata_archives/v0.5.0/adata.h5ad");
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->n_obs(), 700);
  EXPECT_EQ(data->obs().column("louvain").kind, ColumnKind::categorical);
  EXPECT_EQ(data->var().column("highly_variable").kind, ColumnKind::boolean);
  EXPECT_EQ(open_matrix(data->root(), "raw/X")->nnz(), 174'400);
  EXPECT_EQ(open_matrix(data->root(), "obsp/distances")->n_rows(), 700);
  EXPECT_THAT(data->root().array("obsm/X_pca")->info().shape, ElementsAre(700, 50));
}

}  // namespace
}  // namespace cellmill
