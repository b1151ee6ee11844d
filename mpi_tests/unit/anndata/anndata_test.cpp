#include "cellmill/anndata/anndata.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/write.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

class AnnDataTest : public testing::TestWithParam<StoreFormat> {
 protected:
  std::unique_ptr<Group> create() {
    auto root = GetParam() == StoreFormat::hdf5 ? open_hdf5(path, OpenMode::create)
                                                : open_zarr(path, OpenMode::create, GetParam());
    write_anndata_root(*root);
    return root;
  }

  static void write_frame(Group& root, const std::string& name, std::int64_t rows) {
    Strings names;
    for (std::int64_t i = 0; i < rows; ++i) names.push_back(name + std::to_string(i));
    write_index(*create_dataframe(root, name, {}), names);
  }

  /// An X of these sizes with one value in each row.
  static void write_x(Group& root, std::int64_t rows, std::int64_t cols) {
    const auto x = create_csr_matrix(root, "X", rows, cols);
    std::vector<std::int64_t> indptr;
    for (std::int64_t i = 0; i <= rows; ++i) indptr.push_back(i);
    write_array<float>(*x, "data", std::vector<float>(static_cast<std::size_t>(rows), 2.0F));
    write_array<std::int32_t>(*x, "indices",
                              std::vector<std::int32_t>(static_cast<std::size_t>(rows), 1));
    write_array<std::int64_t>(*x, "indptr", indptr);
  }

  Error error_of_open() {
    try {
      (void)AnnData::open(path)->x();
    } catch (const Error& error) {
      return error;
    }
    return usage_error("no error");
  }

  TempFolder folder;
  fs::path path = folder.path() / "plate1.h5ad";
};

TEST_P(AnnDataTest, OpensWhatWasWritten) {
  {
    const auto root = create();
    write_frame(*root, "obs", 4);
    write_frame(*root, "var", 3);
    write_x(*root, 4, 3);
  }
  const auto data = AnnData::open(path);
  EXPECT_EQ(data->name(), "plate1.h5ad");
  EXPECT_EQ(data->n_obs(), 4);
  EXPECT_EQ(data->n_vars(), 3);
  EXPECT_EQ(data->x().nnz(), 4);
  EXPECT_EQ(data->x().location(), "plate1.h5ad: X");
  EXPECT_EQ(data->var().index({2, 3})[0], "var2");
}

TEST_P(AnnDataTest, XIsNotNeededUntilItIsAskedFor) {
  {
    const auto root = create();
    write_frame(*root, "obs", 4);
    write_frame(*root, "var", 3);
  }
  const auto data = AnnData::open(path);
  EXPECT_FALSE(data->has_x());
  EXPECT_EQ(data->n_obs(), 4);
  EXPECT_EQ(error_of_open().kind(), Error::Kind::missing);
  EXPECT_STREQ(error_of_open().what(), "plate1.h5ad: there is no X");
}

TEST_P(AnnDataTest, SizesMustAgree) {
  {
    const auto root = create();
    write_frame(*root, "obs", 4);
    write_frame(*root, "var", 3);
    write_x(*root, 5, 3);
  }
  EXPECT_STREQ(error_of_open().what(),
               "plate1.h5ad: X: 5 rows found, expected 4, the length of obs");
}

TEST_P(AnnDataTest, OtherFilesAreNoAnnData) {
  create();
  EXPECT_EQ(error_of_open().kind(), Error::Kind::input);
  EXPECT_THAT(error_of_open().what(), HasSubstr("plate1.h5ad: not an AnnData: there is no obs"));
}

TEST_P(AnnDataTest, UnstructuredValuesAreWrittenFromJson) {
  const json value = {
      {"text", "ü"},          {"number", 2.5},
      {"count", 7},           {"truth", true},
      {"nothing", nullptr},   {"dict", {{"inner/key", {1, 2, 3}}, {"empty", json::object()}}},
      {"names", {"a", "b"}},  {"flags", {true, false}},
      {"weights", {0.5, 1}},  {"mixed", {1, "a", nullptr}},
      {"none", json::array()}};
  {
    const auto root = create();
    write_json(*root->group("uns"), "cellmill", value);
  }
  const auto uns = open_store(path)->group("uns/cellmill");
  EXPECT_EQ(uns->attributes()["encoding-type"], "dict");
  EXPECT_EQ(uns->array("text")->read_strings({0, 1})[0], "ü");
  EXPECT_EQ(uns->attributes("text")["encoding-type"], "string");
  EXPECT_EQ(read_all<double>(*uns->array("number")), std::vector<double>{2.5});
  EXPECT_EQ(uns->attributes("number")["encoding-type"], "numeric-scalar");
  EXPECT_EQ(uns->array("count")->info().dtype, DType::int64);
  EXPECT_EQ(uns->array("truth")->info().dtype, DType::boolean);
  EXPECT_EQ(uns->kind("nothing"), NodeKind::none);
  EXPECT_EQ(read_all<std::int64_t>(*uns->array("dict/inner|key")),
            (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(uns->kind("dict/empty"), NodeKind::group);
  EXPECT_EQ(uns->array("names")->read_strings({0, 2}).to_vector(),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(uns->attributes("names")["encoding-type"], "string-array");
  EXPECT_EQ(read_all<std::int32_t>(*uns->array("flags")), (std::vector<std::int32_t>{1, 0}));
  EXPECT_EQ(read_all<double>(*uns->array("weights")), (std::vector<double>{0.5, 1}));
  EXPECT_EQ(uns->array("mixed")->read_strings({0, 1})[0], R"([1,"a",null])");
  EXPECT_EQ(uns->array("none")->info().shape, std::vector<std::int64_t>{0});
}

INSTANTIATE_TEST_SUITE_P(Stores, AnnDataTest,
                         testing::Values(StoreFormat::hdf5, StoreFormat::zarr2, StoreFormat::zarr3),
                         [](const auto& info) {
                           return info.param == StoreFormat::hdf5    ? "Hdf5"
                                  : info.param == StoreFormat::zarr2 ? "Zarr2"
                                                                     : "Zarr3";
                         });

}  // namespace
}  // namespace cellmill
