#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// Every format and codec that both can do.
struct Layout {
  StoreFormat format;
  const char* codec;
};

class Z5Cross : public testing::TestWithParam<Layout> {
 protected:
  void SetUp() override {
    if (!have_z5()) GTEST_SKIP() << "this build has no z5";
    values_.resize(53 * 7);
    std::iota(values_.begin(), values_.end(), -20.0F);
    spec_.dtype = DType::float32;
    spec_.shape = {53, 7};
    spec_.chunk_shape = {10, 3};
    spec_.codec = GetParam().codec;
  }

  TempFolder folder_;
  std::filesystem::path store_ = folder_.path() / "store.zarr";
  std::vector<float> values_;
  ArraySpec spec_;
};

TEST_P(Z5Cross, WeReadWhatZ5Wrote) {
  create_z5_array(store_, "layers/a", spec_, GetParam().format)
      ->write_rows(0, std::as_bytes(std::span(values_)));
  const std::unique_ptr<Array> array = open_zarr(store_)->array("layers/a");
  EXPECT_EQ(array->info().chunk_shape, spec_.chunk_shape);
  EXPECT_EQ(read_all<float>(*array), values_);
}

TEST_P(Z5Cross, Z5ReadsWhatWeWrote) {
  const std::unique_ptr<Group> root = open_zarr(store_, OpenMode::create, GetParam().format);
  root->create_array("layers/a", spec_)->write_rows(0, std::as_bytes(std::span(values_)));
  const std::unique_ptr<Array> array = open_z5_array(store_, "layers/a");
  EXPECT_EQ(array->info().shape, spec_.shape);
  EXPECT_EQ(read_all<float>(*array), values_);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, Z5Cross,
    testing::Values(Layout{StoreFormat::zarr2, "none"}, Layout{StoreFormat::zarr2, "gzip"},
                    Layout{StoreFormat::zarr2, "zstd"}, Layout{StoreFormat::zarr2, "lz4"},
                    Layout{StoreFormat::zarr3, "none"}, Layout{StoreFormat::zarr3, "gzip"},
                    Layout{StoreFormat::zarr3, "zstd"}, Layout{StoreFormat::zarr3, "lz4"}),
    [](const auto& test) {
      return (test.param.format == StoreFormat::zarr2 ? "v2_" : "v3_") +
             std::string(test.param.codec);
    });

TEST(Z5, RefusesWhatItCannotDo) {
  if (!have_z5()) GTEST_SKIP() << "this build has no z5";
  const TempFolder folder;
  const std::filesystem::path store = folder.path() / "store.zarr";
  const std::unique_ptr<Group> root = open_zarr(store, OpenMode::create);
  ArraySpec sharded;
  sharded.shape = {8};
  sharded.chunk_shape = {2};
  sharded.shard_shape = {4};
  root->create_array("sharded", sharded);
  write_scalar<double>(*root, "scalar", 1.0);
  write_string_scalar(*root, "string", "x");
  write_array<bool>(*root, "bool", {});
  for (const char* name : {"sharded", "scalar", "string", "bool"}) {
    try {
      (void)open_z5_array(store, name);
      ADD_FAILURE() << name << " was opened";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input);
      EXPECT_THAT(error.what(),
                  testing::AllOf(testing::HasSubstr("z5 can't"), testing::HasSubstr(name)));
    }
  }
  EXPECT_THROW((void)open_z5_array(store, "nothing"), Error);
  EXPECT_THROW((void)create_z5_array(store, "new", sharded, StoreFormat::zarr3), Error);
}

TEST(Z5, SaysWhenItIsNotThere) {
  if (have_z5()) GTEST_SKIP() << "this build has z5";
  EXPECT_THROW((void)open_z5_array("store.zarr", "a"), Error);
}

}  // namespace
}  // namespace cellmill
