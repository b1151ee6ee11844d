#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/json_file.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

template <class Body>
Error::Kind error_kind(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "no error";
  return Error::Kind::usage;
}

class ZarrGroups : public testing::TestWithParam<StoreFormat> {
 protected:
  std::unique_ptr<Group> create() { return open_zarr(store_, OpenMode::create, GetParam()); }

  TempFolder folder_;
  fs::path store_ = folder_.path() / "plate.zarr";
};

TEST_P(ZarrGroups, HoldGroupsAndArrays) {
  const std::unique_ptr<Group> root = create();
  root->create_group("obs");
  write_array<float>(*root->group("obs"), "x", std::vector<float>{1, 2});
  root->create_group("b/c/d");
  const std::unique_ptr<Group> read = open_zarr(store_);
  EXPECT_EQ(read->format(), GetParam());
  EXPECT_EQ(read->keys(), (std::vector<std::string>{"b", "obs"}));
  EXPECT_EQ(read->kind("obs"), NodeKind::group);
  EXPECT_EQ(read->kind("obs/x"), NodeKind::array);
  EXPECT_EQ(read->kind("b/c/d"), NodeKind::group);
  EXPECT_EQ(read->kind("nothing"), NodeKind::none);
  EXPECT_EQ(read->group("obs")->keys(), std::vector<std::string>{"x"});
  EXPECT_TRUE(read->group("b/c/d")->keys().empty());
  EXPECT_EQ(read->location(), "plate.zarr");
  EXPECT_EQ(read->group("b")->group("c")->location(), "plate.zarr: b/c");
  EXPECT_EQ(read->array("obs/x")->info().location, "plate.zarr: obs/x");
}

TEST_P(ZarrGroups, AttributesAreMerged) {
  const std::unique_ptr<Group> root = create();
  write_array<float>(*root, "x", std::vector<float>{1});
  EXPECT_EQ(root->attributes("x"), json::object());
  root->set_attributes("x", {{"a", 1}, {"b", "ü"}});
  root->set_attributes("x", {{"a", {1, 2}}, {"c", false}});
  root->set_attributes("", {{"encoding-type", "anndata"}});
  const std::unique_ptr<Group> read = open_zarr(store_);
  EXPECT_EQ(read->attributes("x"), (json{{"a", {1, 2}}, {"b", "ü"}, {"c", false}}));
  EXPECT_EQ(read->attributes(), (json{{"encoding-type", "anndata"}}));
  EXPECT_EQ(read_all<float>(*read->array("x")), std::vector<float>{1});
  EXPECT_EQ(error_kind([&] { (void)read->attributes("y"); }), Error::Kind::missing);
}

TEST_P(ZarrGroups, AttributesMayHoldBareNaN) {
  const std::unique_ptr<Group> root = create();
  root->set_attributes("", {{"n", std::nan("")}, {"i", -INFINITY}, {"text", "NaN, \"Infinity\""}});
  root->set_attributes("", {{"other", 1}});
  const json read = open_zarr(store_)->attributes();
  EXPECT_TRUE(std::isnan(read["n"].get<double>()));
  EXPECT_EQ(read["i"].get<double>(), -INFINITY);
  EXPECT_EQ(read["text"], "NaN, \"Infinity\"");
}

TEST_P(ZarrGroups, WhatIsMissingOrOfAnotherKindIsSaid) {
  const std::unique_ptr<Group> root = create();
  write_scalar<double>(*root, "x", 1);
  root->create_group("g");
  EXPECT_EQ(error_kind([&] { (void)root->array("nothing"); }), Error::Kind::missing);
  EXPECT_EQ(error_kind([&] { (void)root->group("nothing"); }), Error::Kind::missing);
  EXPECT_EQ(error_kind([&] { (void)root->group("x"); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { (void)root->array("g"); }), Error::Kind::input);
}

TEST_P(ZarrGroups, NothingIsCreatedTwice) {
  const std::unique_ptr<Group> root = create();
  root->create_group("g");
  EXPECT_EQ(error_kind([&] { root->create_group("g"); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { write_scalar<double>(*root, "g", 1); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { create(); }), Error::Kind::input);
  write_scalar<double>(*root, "x", 1);
  EXPECT_EQ(error_kind([&] { root->create_group("x/below"); }), Error::Kind::input);
}

TEST_P(ZarrGroups, ReadersDoNotWrite) {
  create()->create_group("g");
  const std::unique_ptr<Group> root = open_zarr(store_);
  EXPECT_EQ(error_kind([&] { root->create_group("h"); }), Error::Kind::io);
  EXPECT_EQ(error_kind([&] { root->group("g")->set_attributes("", {{"a", 1}}); }), Error::Kind::io);
  EXPECT_EQ(error_kind([&] { (void)root->open_writer("g"); }), Error::Kind::io);
}

TEST_P(ZarrGroups, NamesDoNotLeadOutOfTheStore) {
  const std::unique_ptr<Group> root = create();
  for (const char* name : {"../x", "a/../b", "/etc", "a//b", "."}) {
    EXPECT_EQ(error_kind([&] { root->create_group(name); }), Error::Kind::input) << name;
    EXPECT_EQ(error_kind([&] { (void)root->kind(name); }), Error::Kind::input) << name;
  }
}

TEST_P(ZarrGroups, ManyWritersShareAnArray) {
  ArraySpec spec;
  spec.dtype = DType::int32;
  spec.shape = {10, 2};
  spec.chunk_shape = {4, 2};
  create()->create_array("x", spec);
  std::vector<std::int32_t> values(20);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(i);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  const auto writer = [&] { return open_zarr(store_, OpenMode::update)->open_writer("x"); };
  EXPECT_EQ(writer()->unit_rows(), 4);
  writer()->write_rows(8, bytes.subspan(64));
  writer()->write_rows(4, bytes.subspan(32, 32));
  writer()->write_rows(0, bytes.first(32));
  EXPECT_EQ(read_all<std::int32_t>(*open_zarr(store_)->array("x")), values);
  EXPECT_EQ(error_kind([&] { writer()->write_rows(2, bytes.first(16)); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { writer()->write_rows(0, bytes.first(16)); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { writer()->write_rows(0, bytes.first(7)); }), Error::Kind::input);
}

TEST_P(ZarrGroups, AFullDiskIsAnErrorWithTheBytesWanted) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const std::unique_ptr<Group> root = create();
  ArraySpec spec;
  spec.shape = {100'000};
  spec.codec = "none";
  const std::unique_ptr<ArrayWriter> writer = root->create_array("x", spec);
  const fs::path chunk = store_ / (GetParam() == StoreFormat::zarr2 ? "x/0" : "x/c/0");
  fs::create_directories(chunk.parent_path());
  fs::create_symlink("/dev/full", chunk);
  const std::vector<float> values(100'000);
  try {
    writer->write_rows(0, std::as_bytes(std::span(values)));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::io);
    EXPECT_THAT(error.what(),
                testing::AllOf(testing::HasSubstr("plate.zarr: x"), testing::HasSubstr("400 kB"),
                               testing::HasSubstr("No space left")));
  }
}

TEST_P(ZarrGroups, ConsolidatedMetadataListsAll) {
  const std::unique_ptr<Group> root = create();
  root->set_attributes("", {{"encoding-type", "anndata"}});
  root->create_group("obs");
  root->set_attributes("obs", {{"_index", "i"}});
  write_string_array(*root, "obs/i", Strings());
  consolidate_zarr(store_);
  if (GetParam() == StoreFormat::zarr2) {
    const json document = *read_json_file(store_ / ".zmetadata");
    EXPECT_EQ(document["zarr_consolidated_format"], 1);
    EXPECT_EQ(document["metadata"]["obs/.zattrs"]["_index"], "i");
    EXPECT_EQ(document["metadata"]["obs/i/.zarray"]["dtype"], "|O");
    EXPECT_TRUE(document["metadata"].contains(".zgroup"));
  } else {
    const json document = *read_json_file(store_ / "zarr.json");
    const json& metadata = document["consolidated_metadata"]["metadata"];
    EXPECT_EQ(document["attributes"]["encoding-type"], "anndata");
    EXPECT_EQ(metadata["obs"]["attributes"]["_index"], "i");
    EXPECT_EQ(metadata["obs/i"]["data_type"], "string");
    EXPECT_EQ(metadata.size(), 2U);
  }
  EXPECT_EQ(open_zarr(store_)->keys(), std::vector<std::string>{"obs"});
}

TEST_P(ZarrGroups, ConsolidatedMetadataIsReadOnlyWhereThereIsNoOther) {
  const std::unique_ptr<Group> root = create();
  root->create_group("obs");
  root->set_attributes("obs", {{"_index", "i"}});
  write_array<float>(*root, "obs/x", std::vector<float>{1, 2});
  consolidate_zarr(store_);
  write_array<float>(*root, "late", std::vector<float>{3});
  EXPECT_EQ(open_zarr(store_)->keys(), (std::vector<std::string>{"late", "obs"}));
  fs::remove_all(store_ / "late");
  for (const char* name : {"obs", "obs/x"}) {
    for (const char* document : {".zgroup", ".zarray", ".zattrs", "zarr.json"}) {
      fs::remove(store_ / name / document);
    }
  }
  fs::remove(store_ / ".zgroup");
  const std::unique_ptr<Group> read = open_zarr(store_);
  EXPECT_EQ(read->keys(), std::vector<std::string>{"obs"});
  EXPECT_EQ(read->group("obs")->keys(), std::vector<std::string>{"x"});
  EXPECT_EQ(read->attributes("obs")["_index"], "i");
  EXPECT_EQ(read_all<float>(*read->array("obs/x")), (std::vector<float>{1, 2}));
  EXPECT_EQ(read->kind("nothing"), NodeKind::none);
}

TEST_P(ZarrGroups, LargeSmallArraysGetChunksOfRows) {
  const std::unique_ptr<Group> root = create();
  const std::vector<double> values(3'000'000, 1.5);
  write_array<double>(*root, "x", values, {1'000'000, 3});
  const std::unique_ptr<Array> array = root->array("x");
  EXPECT_LE(chunk_elements(array->info()) * 8, 16 << 20);
  EXPECT_EQ(array->info().chunk_shape[1], 3);
  EXPECT_EQ(read_rows<double>(*array, {999'999, 1'000'000}), (std::vector<double>{1.5, 1.5, 1.5}));
}

TEST_P(ZarrGroups, ArraysWhoseShapeIsWrongAreNotWritten) {
  const std::unique_ptr<Group> root = create();
  const std::vector<float> values(5);
  EXPECT_EQ(error_kind([&] {
              write_array<float>(*root, "x", values, {2, 3});
            }),
            Error::Kind::input);
  ArraySpec sharded;
  sharded.shape = {8};
  sharded.chunk_shape = {3};
  sharded.shard_shape = {4};
  EXPECT_EQ(error_kind([&] { root->create_array("y", sharded); }), Error::Kind::input);
  ArraySpec unknown;
  unknown.codec = "lzma";
  EXPECT_EQ(error_kind([&] { root->create_array("z", unknown); }), Error::Kind::input);
  EXPECT_TRUE(root->keys().empty());
}

INSTANTIATE_TEST_SUITE_P(Formats, ZarrGroups,
                         testing::Values(StoreFormat::zarr2, StoreFormat::zarr3),
                         [](const auto& test) {
                           return std::string(test.param == StoreFormat::zarr2 ? "v2" : "v3");
                         });

TEST(OpenZarr, SaysWhatIsWrong) {
  const TempFolder folder;
  EXPECT_EQ(error_kind([&] { (void)open_zarr(folder.path() / "none.zarr"); }),
            Error::Kind::not_found);
  EXPECT_EQ(error_kind([&] { (void)open_zarr(folder.path()); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { (void)open_store(folder.path() / "none.h5ad"); }),
            Error::Kind::not_found);
  EXPECT_EQ(error_kind([&] { (void)open_store(folder.path()); }), Error::Kind::input);
  EXPECT_EQ(error_kind([&] { consolidate_zarr(folder.path()); }), Error::Kind::input);
}

TEST(OpenZarr, BrokenDocumentsAreNamed) {
  const TempFolder folder;
  const fs::path store = folder.path() / "s.zarr";
  fs::create_directories(store / "x");
  const auto put = [](const fs::path& path, const char* text) { std::ofstream(path) << text; };
  for (const char* text : {"", "{", "[]", "{}", "3", "{\"node_type\": 3}"}) {
    put(store / "zarr.json", "{\"zarr_format\": 3, \"node_type\": \"group\"}");
    put(store / "x/zarr.json", text);
    try {
      (void)open_zarr(store)->array("x");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
    }
    put(store / "zarr.json", text);
    EXPECT_EQ(error_kind([&] { (void)open_zarr(store); }), Error::Kind::input) << text;
  }
}

TEST(OpenZarr, TheNameOfAFolderWithASlashIsItsOwn) {
  const TempFolder folder;
  const fs::path store = folder.path() / "s.zarr/";
  (void)open_zarr(store, OpenMode::create);
  EXPECT_EQ(open_zarr(store)->location(), "s.zarr");
  EXPECT_EQ(open_store(store)->format(), StoreFormat::zarr3);
}

}  // namespace
}  // namespace cellmill
