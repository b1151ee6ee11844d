#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "shared_data.hpp"
#include "temp_folder.hpp"

// Tables in one array, of HDF5's compound types.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Body>
std::string message_of(Body&& body) {
  try {
    (void)body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> all_strings(const Array& array) {
  return array.read_strings({0, array.info().shape[0]}).to_vector();
}

struct Row {
  char name[4];
  std::int16_t small;
  double number;
  std::int8_t flag;
  const char* text;
  float place[2];
};

/// A table of `count` rows as h5py and anndata before 0.7 made them.
fs::path write_table(const fs::path& folder, hsize_t count, hsize_t chunk) {
  const fs::path path = folder / "old.h5ad";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hid_t name = H5Tcopy(H5T_C_S1);
  H5Tset_size(name, 4);
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  const hid_t flag = H5Tenum_create(H5T_NATIVE_INT8);
  std::int8_t value = 0;
  H5Tenum_insert(flag, "FALSE", &value);
  value = 1;
  H5Tenum_insert(flag, "TRUE", &value);
  const hsize_t two = 2;
  const hid_t place = H5Tarray_create2(H5T_NATIVE_FLOAT, 1, &two);
  const hid_t type = H5Tcreate(H5T_COMPOUND, sizeof(Row));
  H5Tinsert(type, "index", HOFFSET(Row, name), name);
  H5Tinsert(type, "small", HOFFSET(Row, small), H5T_NATIVE_INT16);
  H5Tinsert(type, "number", HOFFSET(Row, number), H5T_NATIVE_DOUBLE);
  H5Tinsert(type, "flag", HOFFSET(Row, flag), flag);
  H5Tinsert(type, "text", HOFFSET(Row, text), text);
  H5Tinsert(type, "place", HOFFSET(Row, place), place);
  std::vector<Row> rows;
  std::vector<std::string> texts;
  for (hsize_t i = 0; i < count; ++i) texts.push_back("text " + std::to_string(i));
  for (hsize_t i = 0; i < count; ++i) {
    const auto number = static_cast<float>(i);
    Row row{{},
            static_cast<std::int16_t>(i),
            number / 2,
            i % 2 == 1,
            texts[i].c_str(),
            {number, -number}};
    const std::string name_text = "c" + std::to_string(i);
    std::copy(name_text.begin(), name_text.end(), row.name);
    rows.push_back(row);
  }
  const hid_t space = H5Screate_simple(1, &count, nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  if (chunk > 0) {
    H5Pset_chunk(creation, 1, &chunk);
    H5Pset_deflate(creation, 4);
  }
  const hid_t dataset = H5Dcreate2(file, "obs", type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
  H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, rows.data());
  H5Dclose(dataset);
  H5Fclose(file);
  return path;
}

TEST(Hdf5Tables, AreDescribedAndNotRead) {
  const TempFolder folder;
  const auto root = open_hdf5(write_table(folder.path(), 5, 0));
  const auto table = root->array("obs");
  EXPECT_THAT(table->info().fields,
              ElementsAre("index", "small", "number", "flag", "text", "place"));
  EXPECT_EQ(table->info().shape, std::vector<std::int64_t>{5});
  EXPECT_THAT(message_of([&] { return table->fetch(0); }),
              HasSubstr("old.h5ad: obs: is a table in one array, with the fields index, small"));
  EXPECT_THAT(message_of([&] { return table->read_strings({0, 1}); }), HasSubstr("a table"));
  EXPECT_THAT(message_of([&] { return read_all<float>(*table); }), HasSubstr("a table"));
}

TEST(Hdf5Tables, FieldsAreArrays) {
  const TempFolder folder;
  for (const hsize_t chunk : {0, 7, 60}) {
    const auto root = open_hdf5(write_table(folder.path(), 100, chunk));
    const auto field = [&](const char* name) { return root->field("obs", name); };
    EXPECT_EQ(field("small")->info().dtype, DType::int16);
    EXPECT_EQ(field("small")->info().location, "old.h5ad: obs, field small");
    EXPECT_TRUE(field("small")->info().fields.empty());
    EXPECT_EQ(read_range<std::int32_t>(*field("small"), {97, 100}),
              (std::vector<std::int32_t>{97, 98, 99}));
    EXPECT_EQ(read_all<double>(*field("number"))[99], 49.5);
    EXPECT_EQ(field("flag")->info().dtype, DType::boolean);
    EXPECT_EQ(read_range<std::int32_t>(*field("flag"), {0, 3}),
              (std::vector<std::int32_t>{0, 1, 0}));
    EXPECT_THAT(field("index")->read_strings({8, 11}).to_vector(), ElementsAre("c8", "c9", "c10"));
    EXPECT_EQ(all_strings(*field("text"))[99], "text 99");
    EXPECT_EQ(field("place")->info().shape, (std::vector<std::int64_t>{100, 2}));
    EXPECT_EQ(read_rows<float>(*field("place"), {98, 100}), (std::vector<float>{98, -98, 99, -99}));
  }
}

TEST(Hdf5Tables, WhatIsNoFieldIsSaid) {
  const TempFolder folder;
  {
    const auto root = open_hdf5(write_table(folder.path(), 5, 2), OpenMode::update);
    write_scalar<double>(*root, "plain", 1);
  }
  const auto root = open_hdf5(folder.path() / "old.h5ad");
  EXPECT_THAT(message_of([&] { return root->field("obs", "none"); }),
              HasSubstr("old.h5ad: obs: there is no field 'none', only index, small"));
  EXPECT_THAT(message_of([&] { return root->field("plain", "x"); }),
              HasSubstr("old.h5ad: plain: is an ordinary array"));
  EXPECT_THAT(message_of([&] { return root->field("var", "x"); }), HasSubstr("no such element"));
  EXPECT_THAT(message_of([&] {
                return root->field("obs", "small")->read_strings({0, 1});
              }),
              HasSubstr("obs, field small: holds int16, expected strings"));
  EXPECT_THAT(message_of([&] { return root->field("obs", "index")->fetch(0); }),
              HasSubstr("holds strings"));
  EXPECT_THAT(message_of([&] { return root->field("obs", "small")->fetch(1); }),
              HasSubstr("chunk 1: there are 1"));
}

TEST(Hdf5Tables, OldAnnDataIsRead) {
  CELLMILL_SHARED_FILE(path, "formats/anndata_archives/v0.5.0/adata.h5ad");
  const auto root = open_hdf5(path);
  EXPECT_EQ(root->array("obs")->info().fields.front(), "index");
  EXPECT_EQ(all_strings(*root->field("obs", "index")).front(), "AAAGCCTGGCTAAC-1");
  EXPECT_EQ(read_all<std::int64_t>(*root->field("obs", "n_genes"))[0], 1003);
  EXPECT_EQ(root->field("obs", "louvain")->info().dtype, DType::int8);
  EXPECT_EQ(root->field("var", "highly_variable")->info().dtype, DType::boolean);
  EXPECT_EQ(root->field("obsm", "X_pca")->info().shape, (std::vector<std::int64_t>{700, 50}));
  const auto umap = read_rows<double>(*root->field("obsm", "X_umap"), {699, 700});
  EXPECT_EQ(umap.size(), 2U);
  EXPECT_EQ(read_all<double>(*root->field("varm", "PCs")).size(), 765U * 50);
  EXPECT_EQ(all_strings(*root->field("uns/rank_genes_groups/names", "Dendritic")).size(), 100U);
}

TEST(Hdf5Tables, OtherPeoplesAreRead) {
  CELLMILL_SHARED_FILE(compound, "formats/duckdb_extension/test_compound_dataset.h5ad");
  const auto root = open_hdf5(compound);
  EXPECT_EQ(all_strings(*root->field("obs", "_index")).size(), 50U);
  EXPECT_EQ(read_all<std::int32_t>(*root->field("obs", "n_genes")).size(), 50U);
  EXPECT_EQ(read_all<double>(*root->field("var", "mean_expr")).size(), 20U);
  CELLMILL_SHARED_FILE(example, "formats/anndataR/example.h5ad");
  const auto groups = open_hdf5(example)->group("uns/rank_genes_groups");
  EXPECT_EQ(all_strings(*groups->field("names", "5")).size(), 100U);
  EXPECT_EQ(groups->field("scores", "0")->info().dtype, DType::float32);
}

}  // namespace
}  // namespace cellmill
