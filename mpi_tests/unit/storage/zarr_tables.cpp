#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "shared_data.hpp"
#include "temp_folder.hpp"

// Tables in one array, of numpy's structured types.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
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

void write_bytes(const fs::path& path, std::span<const std::byte> bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

void write_text(const fs::path& path, const std::string& text) {
  write_bytes(path, std::as_bytes(std::span(text)));
}

std::vector<std::string> all_strings(const Array& array) {
  return array.read_strings({0, array.info().shape[0]}).to_vector();
}

class ZarrTables : public testing::Test {
 protected:
  std::unique_ptr<Group> open_v2(const char* dtype, const json& changes = json::object()) {
    json document = {
        {"zarr_format", 2}, {"shape", {3}},       {"chunks", {2}},   {"dtype", json::parse(dtype)},
        {"order", "C"},     {"filters", nullptr}, {"fill_value", 0}, {"compressor", nullptr}};
    document.update(changes);
    write_text(store_ / ".zgroup", R"({"zarr_format": 2})");
    write_text(store_ / "obs/.zarray", document.dump());
    return open_zarr(store_);
  }

  TempFolder folder_;
  fs::path store_ = folder_.path() / "store.zarr";
};

const char* const mixed = R"([["index", "|S3"], ["x", ">f4"], ["flag", "|b1"], ["u", ">U2"],
                              ["h", "<f2"], ["at", "<M8[ns]"], ["place", "<i2", [2]]])";

/// One record of `mixed`.
std::string record(const std::string& name, char x, char flag, char u, char half, char at,
                   char place) {
  std::string text = name + std::string({'\x3f', x, 0, 0}) + flag;  // 0.5 or 1.0
  text += std::string({0, 0, 0, u}) + std::string(4, '\0');         // big-endian UCS-4
  text += std::string({0, half});                                   // 1.0 is 0x3c00
  text += std::string({at, 0, 0, 0, 0, 0, 0, 0});                   // int64
  return text + std::string({place, 0, static_cast<char>(place + 1), 0});
}

TEST_F(ZarrTables, FieldsAreTakenFromTheirRecords) {
  const char one = static_cast<char>(0x80);
  const std::string rows = record(std::string("a\0\0", 3), 0, 1, 'p', '\x3c', 7, 1) +
                           record("bcd", one, 0, 'q', '\x40', 8, 3);
  write_text(store_ / "obs/0", rows);
  write_text(store_ / "obs/1", record("efg", 0, 1, 'r', 0, 9, 5) + std::string(rows.size() / 2, 0));
  const auto root = open_v2(mixed);
  EXPECT_EQ(root->array("obs")->info().fields.size(), 7U);
  EXPECT_THAT(message_of([&] { return root->array("obs")->fetch(0); }),
              HasSubstr("store.zarr: obs: is a table in one array, with the fields index, x,"));
  const auto field = [&](const char* name) { return root->field("obs", name); };
  EXPECT_THAT(all_strings(*field("index")), ElementsAre("a", "bcd", "efg"));
  EXPECT_THAT(read_all<float>(*field("x")), ElementsAre(0.5F, 1.0F, 0.5F));
  EXPECT_THAT(read_all<std::int32_t>(*field("flag")), ElementsAre(1, 0, 1));
  EXPECT_THAT(all_strings(*field("u")), ElementsAre("p", "q", "r"));
  EXPECT_EQ(field("h")->info().dtype, DType::float32);
  EXPECT_THAT(read_all<float>(*field("h")), ElementsAre(1.0F, 2.0F, 0.0F));
  EXPECT_THAT(read_range<std::int64_t>(*field("at"), {1, 3}), ElementsAre(8, 9));
  EXPECT_EQ(field("place")->info().shape, (std::vector<std::int64_t>{3, 2}));
  EXPECT_THAT(read_all<std::int32_t>(*field("place")), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(ZarrTables, MissingChunksAreTheFieldsPartOfTheFillValue) {
  const char* const fields = R"([["name", "|S3"], ["n", ">i2"]])";  // "ab", 258
  const auto root = open_v2(fields, {{"fill_value", "YWIAAQI="}});
  EXPECT_THAT(all_strings(*root->field("obs", "name")), ElementsAre("ab", "ab", "ab"));
  EXPECT_THAT(read_all<std::int32_t>(*root->field("obs", "n")), ElementsAre(258, 258, 258));
  const auto bad = open_v2(fields, {{"fill_value", "YWIA"}});
  EXPECT_THAT(message_of([&] { return bad->field("obs", "n"); }),
              HasSubstr("store.zarr: obs, field n: its fill value has 3 bytes, expected 5"));
  const auto none = open_v2(fields, {{"fill_value", nullptr}});
  EXPECT_THAT(read_all<std::int32_t>(*none->field("obs", "n")), ElementsAre(0, 0, 0));
}

TEST_F(ZarrTables, ShortChunksAreErrors) {
  write_text(store_ / "obs/0", "too short");
  const auto root = open_v2(R"([["name", "|S3"], ["n", "<i4"]])");
  EXPECT_THAT(message_of([&] { return read_all<float>(*root->field("obs", "n")); }),
              HasSubstr("store.zarr: obs, field n, chunk 0 (0): has 9 bytes, expected 14"));
}

TEST_F(ZarrTables, WhatIsNotSupportedIsNamed) {
  const auto refusal = [&](const char* dtype) {
    return message_of([&] { return open_v2(dtype)->array("obs"); });
  };
  EXPECT_THAT(refusal("[]"), HasSubstr("element type []"));
  EXPECT_THAT(refusal(R"([["a", "|O"]])"), HasSubstr("field 'a': element type \"|O\""));
  EXPECT_THAT(refusal(R"([["a", "<c8"]])"), HasSubstr("\"<c8\""));
  EXPECT_THAT(refusal(R"([["a", [["b", "<i4"]]]])"), HasSubstr("field 'a'"));
  EXPECT_THAT(refusal(R"([["a", "<i4"], ["a", "<i4"]])"), HasSubstr("two fields 'a'"));
  EXPECT_THAT(refusal(R"([["a", "<i4", [1073741824, 1073741824]]])"), HasSubstr("shape"));
  EXPECT_THAT(refusal(R"([["a", "<i4", [0]]])"), HasSubstr("shape"));
  EXPECT_THAT(refusal(R"([["a"]])"), HasSubstr("store.zarr: obs: .zarray"));
  EXPECT_THAT(message_of([&] {
                return open_v2(R"([["a", "<i4"]])", {{"shape", {3, 1}}, {"chunks", {2, 1}}})
                    ->field("obs", "a");
              }),
              HasSubstr("store.zarr: obs, field a: is a table of 2 dimensions"));
  EXPECT_THAT(message_of([&] { return open_v2(R"([["a", "<i4"]])")->field("obs", "b"); }),
              HasSubstr("there is no field 'b', only a"));
  EXPECT_THAT(message_of([&] { return open_v2("\"<i4\"")->field("obs", "b"); }),
              HasSubstr("ordinary array"));
  (void)open_v2(R"([["a", "<i4"]])");
  EXPECT_THAT(message_of([&] { return open_zarr(store_, OpenMode::update)->open_writer("obs"); }),
              HasSubstr("not written"));
}

TEST_F(ZarrTables, BothFormsOfVersion3AreRead) {
  const json text = {{"name", "null_terminated_bytes"}, {"configuration", {{"length_bytes", 2}}}};
  const json pairs = json::array({json::array({"t", text}), json::array({"n", "int16"})});
  const json objects =
      json::array({{{"name", "t"}, {"data_type", text}}, {{"name", "n"}, {"data_type", "int16"}}});
  write_text(store_ / "zarr.json", R"({"zarr_format": 3, "node_type": "group"})");
  write_text(store_ / "obs/c/0", std::string("ab\0\1c\0\0\2", 8));
  for (const json& type : {json{{"name", "structured"}, {"configuration", {{"fields", pairs}}}},
                           json{{"name", "struct"}, {"configuration", {{"fields", objects}}}}}) {
    const json document = {
        {"zarr_format", 3},
        {"node_type", "array"},
        {"shape", {3}},
        {"data_type", type},
        {"chunk_grid", {{"name", "regular"}, {"configuration", {{"chunk_shape", {2}}}}}},
        {"chunk_key_encoding", {{"name", "default"}}},
        {"fill_value", {{"t", "eA=="}, {"n", 9}}},
        {"codecs", json::array({{{"name", "bytes"}, {"configuration", {{"endian", "big"}}}}})}};
    write_text(store_ / "obs/zarr.json", document.dump());
    const auto root = open_zarr(store_);
    EXPECT_THAT(all_strings(*root->field("obs", "t")), ElementsAre("ab", "c", "x"));
    EXPECT_THAT(read_all<std::int32_t>(*root->field("obs", "n")), ElementsAre(1, 2, 9));
  }
}

TEST_F(ZarrTables, PublishedOnesAreRead) {
  CELLMILL_SHARED_FILE(path, "tenx/10x-10k-subset.zarr");
  const auto root = open_zarr(path);
  const auto cells = all_strings(*root->field("obs", "index"));
  ASSERT_EQ(cells.size(), 10'000U);
  EXPECT_EQ(cells.front(), "AAACCTGAGATAGGAG-1");
  EXPECT_EQ(root->array("var")->info().fields.front(), "index");
  EXPECT_EQ(all_strings(*root->field("var", "index")).size(), 1000U);
}

}  // namespace
}  // namespace cellmill
