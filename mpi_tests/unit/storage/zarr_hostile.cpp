#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/storage/claims.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/codecs.hpp"
#include "storage/zarr_shards.hpp"
#include "temp_folder.hpp"

// Stores that claim what can't be: each an error that names file and element, soon and without the
// memory they ask for.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

template <class Body>
std::string message_of(Body&& body) {
  try {
    (void)body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input) << error.what();
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

class HostileZarr : public testing::Test {
 protected:
  std::unique_ptr<Array> open(const json& changes) {
    json document = {{"zarr_format", 2}, {"shape", {4}},         {"chunks", {4}},
                     {"dtype", "<i4"},   {"order", "C"},         {"filters", nullptr},
                     {"fill_value", 0},  {"compressor", nullptr}};
    document.update(changes);
    write_text(store_ / ".zgroup", R"({"zarr_format": 2})");
    write_text(store_ / "a/.zarray", document.dump());
    return open_zarr(store_)->array("a");
  }
  std::string refusal(const json& changes) {
    return message_of([&] { return open(changes); });
  }

  TempFolder folder_;
  fs::path store_ = folder_.path() / "s.zarr";
  const json zstd_ = {{"id", "zstd"}, {"level", 1}};
  const json strings_ = {{"dtype", "|O"}, {"filters", {{{"id", "vlen-utf8"}}}}};
};

constexpr std::int64_t trillion = 1'000'000'000'000;

TEST_F(HostileZarr, RecordsAreNotHeldForANarrowField) {  // found by fuzz_chunk
  const json wide = json::array({"wide", "<i2", json::array({100'000'000})});
  open({{"dtype", json::array({json::array({"n", "<i4"}), wide})}});
  write_text(store_ / "a/0", "short");
  limit_claims(std::int64_t{100} << 20);
  EXPECT_THAT(message_of([&] { return read_all<double>(*open_zarr(store_)->field("a", "n")); }),
              HasSubstr("no memory for 4 elements of 200,000,004 bytes"));
  limit_claims(available_memory());
}

TEST_F(HostileZarr, ATrillionRowsAreNotHeld) {
  for (const std::int64_t chunk : {1, 1000, 1'000'000'000}) {
    const json shape = {{"shape", {trillion}}, {"chunks", {chunk}}};
    EXPECT_THAT(message_of([&] { return read_all<float>(*open(shape)); }),
                StartsWith("s.zarr: a: no memory for 1,000,000,000,000 elements"));
    EXPECT_THAT(message_of([&] {
                  return fetch_range(*open({{"shape", {trillion * 1000}}, {"chunks", {1}}}),
                                     {0, trillion * 1000});
                }),
                StartsWith("s.zarr: a: no memory for"));
    json text = strings_;
    text.update(shape);
    const auto array = open(text);
    EXPECT_THAT(message_of([&] {
                  return array->read_strings({0, trillion});
                }),
                StartsWith("s.zarr: a: no memory for"));
  }
  EXPECT_THAT(refusal({{"shape", {trillion}}, {"chunks", {trillion}}}),
              AllOf(StartsWith("s.zarr: a: .zarray: "), HasSubstr("chunks of over 64 GB")));
  const json wide = {{"shape", {trillion, 30000}}, {"chunks", {1, 30000}}};
  EXPECT_THAT(message_of([&] { return read_all<float>(*open(wide)); }), HasSubstr("no memory"));
}

TEST_F(HostileZarr, ShapesWhoseProductOverflowsAreRefused) {
  const std::int64_t big = std::int64_t{1} << 62;
  for (const json& shape : {json{big, big}, json{0, big, big}, json{big, big, 0}, json{big, 4}}) {
    json chunks = json::array();
    for (std::size_t i = 0; i < shape.size(); ++i) chunks.push_back(1);
    EXPECT_THAT(refusal({{"shape", shape}, {"chunks", chunks}}), HasSubstr("shape is too large"));
    json ones = chunks;
    EXPECT_NE(refusal({{"shape", ones}, {"chunks", shape}}), "no error");
  }
  EXPECT_THAT(refusal({{"shape", {UINT64_MAX}}}), HasSubstr("shape"));
  EXPECT_THAT(refusal({{"shape", {1e30}}}), HasSubstr("shape"));
  EXPECT_THAT(refusal({{"dtype", "<U3000000000"}}), HasSubstr("<U3000000000"));
  EXPECT_THAT(refusal({{"dtype", "|S99999999999999999999"}}), HasSubstr("is not supported"));
}

TEST_F(HostileZarr, WhatDecodesToAThousandTimesTheChunkIsRefused) {
  const Bytes zeros(16'000'000, std::byte{});
  write_bytes(store_ / "a/0", zstd_encode(zeros, 1));
  EXPECT_THAT(message_of([&] {
                return read_all<float>(*open({{"compressor", zstd_}}));
              }),
              StartsWith("s.zarr: a, chunk 0 (0): zstd"));
  const json shuffled = {{"compressor", zstd_}, {"filters", {{{"id", "shuffle"}}}}};
  EXPECT_THAT(message_of([&] { return read_all<float>(*open(shuffled)); }),
              HasSubstr("expected at most 1048608"));
  write_bytes(store_ / "a/0", blosc_encode(zeros, 1, "lz4", 5, BloscShuffle::none));
  EXPECT_THAT(message_of([&] {
                return read_all<float>(
                    *open({{"compressor", {{"id", "blosc"}}}, {"filters", {{{"id", "shuffle"}}}}}));
              }),
              HasSubstr("blosc data decode to 16000000 bytes, expected at most"));
  write_bytes(store_ / "a/0", deflate_gzip(zeros, 9));
  EXPECT_THAT(message_of([&] {
                return read_all<float>(
                    *open({{"compressor", {{"id", "gzip"}}}, {"filters", {{{"id", "shuffle"}}}}}));
              }),
              HasSubstr("gzip stream decodes to more than"));
}

TEST_F(HostileZarr, StringsThatDecodeToFarTooMuchAreRefused) {
  const Bytes zeros(200'000'000, std::byte{});
  write_bytes(store_ / "a/0", zstd_encode(zeros, 1));
  json text = strings_;
  text["compressor"] = zstd_;
  EXPECT_THAT(message_of([&] {
                return open(text)->read_strings({0, 4});
              }),
              AllOf(StartsWith("s.zarr: a, chunk 0 (0): zstd"), HasSubstr("expected at most")));
}

TEST_F(HostileZarr, ManyEqualStringsAreNotTooMuch) {
  Strings same;
  for (int i = 0; i < 100'000; ++i) same.push_back(std::string(1000, 'x'));
  ArraySpec spec;
  spec.dtype = DType::string;
  spec.shape = {same.size()};
  open_zarr(store_, OpenMode::create)->create_array("x", spec)->write_strings(0, same);
  const auto array = open_zarr(store_)->array("x");
  EXPECT_LT(array->encoded_bytes(0), 20'000);
  EXPECT_EQ(array->read_strings({0, 100'000}), same);
}

TEST_F(HostileZarr, CountsAndLengthsOfStringsBeyondTheChunkAreRefused) {
  const auto read = [&](const std::string& bytes) {
    write_text(store_ / "a/0", bytes);
    return message_of([&] { return open(strings_)->read_strings({0, 4}); });
  };
  const auto number = [](std::uint32_t value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof value);
  };
  EXPECT_THAT(read(number(UINT32_MAX)), StartsWith("s.zarr: a, chunk 0 (0): vlen-utf8 data end"));
  EXPECT_THAT(read(number(4) + number(UINT32_MAX)), HasSubstr("end early"));
  EXPECT_THAT(read(number(4) + number(UINT32_MAX - 4) + "abcd"), HasSubstr("end early"));
  EXPECT_THAT(read(number(3) + std::string(12, '\0')), HasSubstr("hold 3 strings, expected 4"));
}

TEST_F(HostileZarr, ChunksFarLongerThanTheyCanBeAreNotRead) {
  (void)open(json::object());
  write_text(store_ / "a/0", "");
  fs::resize_file(store_ / "a/0", std::uintmax_t{1} << 40);
  EXPECT_THAT(message_of([&] { return read_all<float>(*open(json::object())); }),
              AllOf(StartsWith("s.zarr: a, chunk 0 (0): "), HasSubstr("expected at most")));
}

TEST_F(HostileZarr, APipeInPlaceOfAChunkIsNoChunk) {
  (void)open(json::object());
  ASSERT_EQ(::mkfifo((store_ / "a/0").c_str(), 0600), 0);
  EXPECT_THROW((void)read_all<float>(*open(json::object())), Error);
}

TEST_F(HostileZarr, ShardIndicesMustLieInTheShard) {
  ZarrMetadata metadata;
  metadata.index_checksum = false;
  const auto index = [&](std::uint64_t offset, std::uint64_t length) {
    const std::vector<std::uint64_t> entry = {offset, length};
    return message_of(
        [&] { return parse_shard_index(std::as_bytes(std::span(entry)), 1, metadata, 100); });
  };
  EXPECT_EQ(index(0, 84), "no error");
  EXPECT_EQ(index(UINT64_MAX, UINT64_MAX), "no error");
  EXPECT_THAT(index(90, 11),
              HasSubstr("inner chunk 0, 11 bytes at byte 90, does not lie in its 100"));
  EXPECT_THAT(index(101, 1), HasSubstr("does not lie"));
  EXPECT_THAT(index(UINT64_MAX - 7, 16), HasSubstr("does not lie"));  // 8 after 2^64
  EXPECT_THAT(index(8, UINT64_MAX), HasSubstr("does not lie"));
  EXPECT_THAT(index(UINT64_MAX, 8), HasSubstr("does not lie"));
  EXPECT_THAT(index(std::uint64_t{1} << 63, 8), HasSubstr("does not lie"));
  EXPECT_THAT(index(8, 0), HasSubstr("does not lie"));
}

TEST_F(HostileZarr, ShardsOfMoreChunksThanTheyCanIndexAreRefused) {
  const json codecs = {
      {"name", "sharding_indexed"},
      {"configuration", {{"chunk_shape", {1}}, {"codecs", {{{"name", "bytes"}}}}}}};
  const auto grid = [](std::int64_t length) -> json {
    return {{"name", "regular"}, {"configuration", {{"chunk_shape", {length}}}}};
  };
  const auto read = [&](std::int64_t length) {
    const json document = {{"zarr_format", 3},
                           {"node_type", "array"},
                           {"shape", {length}},
                           {"data_type", "int32"},
                           {"chunk_grid", grid(length)},
                           {"chunk_key_encoding", {{"name", "default"}}},
                           {"fill_value", 0},
                           {"codecs", {codecs}}};
    write_text(store_ / "zarr.json", R"({"zarr_format": 3, "node_type": "group"})");
    write_text(store_ / "b/zarr.json", document.dump());
    write_text(store_ / "b/c/0", std::string(1000, 'x'));
    return message_of([&] { return open_zarr(store_)->array("b")->fetch(0); });
  };
  EXPECT_THAT(read(trillion), AllOf(StartsWith("s.zarr: b, chunk 0: shard c/0: "),
                                    HasSubstr("expected an index of")));
  EXPECT_THAT(read(INT64_MAX / 4), HasSubstr("expected an index of"));
  EXPECT_THAT(read(INT64_MAX / 2), HasSubstr("too large"));
}

TEST_F(HostileZarr, MetadataThatNestsTooDeeplyIsRefused) {
  (void)open(json::object());
  const std::string deep(1'000'000, '[');
  for (const std::string& text :
       {deep, R"({"a": )" + deep, deep + "NaN" + std::string(1'000'000, ']')}) {
    write_text(store_ / "a/.zarray", text);
    EXPECT_THAT(message_of([&] { return open_zarr(store_)->array("a"); }),
                AllOf(HasSubstr("a/.zarray: "), HasSubstr("nested too deeply")));
  }
  write_text(store_ / "a/.zattrs", R"({"brackets": "[[[[[[)" + deep + R"(\"[["})");
  EXPECT_TRUE(open(json::object()));
  EXPECT_TRUE(open_zarr(store_)->attributes("a").contains("brackets"));
}

TEST_F(HostileZarr, ShuffledElementsOfAbsurdSizeAreRefused) {
  for (const json& size : {json(0), json(-1), json(UINT64_MAX), json(1 << 20)}) {
    EXPECT_THAT(refusal({{"filters", {{{"id", "shuffle"}, {"elementsize", size}}}}}),
                HasSubstr("'shuffle'"));
  }
}

TEST_F(HostileZarr, NumbersThatAreNoIntegersAreRefused) {  // found by fuzz_chunk
  for (const json& number : {json(3.3e75), json(-1e30), json(1.5), json("9"), json(UINT64_MAX)}) {
    for (const char* option : {"level", "clevel", "shuffle", "typesize"}) {
      const json codec = {{"id", "blosc"}, {option, number}};
      if (option == std::string("shuffle") && number == "9") continue;  // a name, of none
      EXPECT_NE(refusal({{"compressor", codec}}), "no error") << codec;
    }
    const json fields = json::array({json::array({"a", "<i4", json::array({number})})});
    EXPECT_NE(refusal({{"dtype", fields}}), "no error") << fields;
  }
  EXPECT_EQ(refusal({{"compressor", {{"id", "zstd"}, {"level", -5}}}}), "no error");
  EXPECT_EQ(refusal({{"dtype", "|b1"}, {"fill_value", 1e300}}), "no error");
}

TEST(HostileHdf5, ATrillionRowsAreNotHeld) {
  const TempFolder folder;
  const fs::path path = folder.path() / "h.h5ad";
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  const hsize_t rows = trillion;
  const hsize_t chunk = 1000;
  const hid_t space = H5Screate_simple(1, &rows, nullptr);
  const hid_t creation = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(creation, 1, &chunk);
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  const hid_t table = H5Tcreate(H5T_COMPOUND, 4);
  H5Tinsert(table, "a", 0, H5T_STD_I32LE);
  for (const auto& [name, type] : {std::pair("x", H5T_STD_I32LE), {"s", text}, {"t", table}}) {
    H5Dclose(H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT));
  }
  H5Fclose(file);
  const auto root = open_hdf5(path);
  EXPECT_THAT(message_of([&] { return read_all<float>(*root->array("x")); }),
              StartsWith("h.h5ad: x: no memory for 1,000,000,000,000 elements"));
  EXPECT_THAT(message_of([&] {
                return root->array("s")->read_strings({0, trillion});
              }),
              StartsWith("h.h5ad: s: no memory for"));
  EXPECT_THAT(message_of([&] { return read_all<float>(*root->field("t", "a")); }),
              StartsWith("h.h5ad: t, field a: no memory for"));
}

}  // namespace
}  // namespace cellmill
