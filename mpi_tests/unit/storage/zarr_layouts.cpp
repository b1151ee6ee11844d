#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/codecs.hpp"
#include "temp_folder.hpp"

// Stores as other programs write them, made by hand: metadata in JSON, chunks in bytes.

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void write_bytes(const fs::path& path, std::span<const std::byte> bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
}

template <class T>
void write_values(const fs::path& path, const std::vector<T>& values) {
  write_bytes(path, std::as_bytes(std::span(values)));
}

void write_json(const fs::path& path, const json& document) {
  const std::string text = document.dump();
  write_bytes(path, std::as_bytes(std::span(text)));
}

class ZarrLayout : public testing::Test {
 protected:
  std::unique_ptr<Array> open_v2(const json& changes = json::object()) {
    json document = {{"zarr_format", 2}, {"shape", {4}},         {"chunks", {4}},
                     {"dtype", "<i4"},   {"order", "C"},         {"filters", nullptr},
                     {"fill_value", 0},  {"compressor", nullptr}};
    document.update(changes);
    write_json(store_ / ".zgroup", {{"zarr_format", 2}});
    write_json(array_ / ".zarray", document);
    return open_zarr(store_)->array("a");
  }

  std::unique_ptr<Array> open_v3(const json& changes) {
    json document = {
        {"zarr_format", 3},
        {"node_type", "array"},
        {"shape", {4}},
        {"data_type", "int32"},
        {"chunk_grid", {{"name", "regular"}, {"configuration", {{"chunk_shape", {4}}}}}},
        {"chunk_key_encoding", {{"name", "default"}}},
        {"fill_value", 0},
        {"codecs", json::array({{{"name", "bytes"}, {"configuration", {{"endian", "little"}}}}})}};
    document.update(changes);
    write_json(store_ / "zarr.json", {{"zarr_format", 3}, {"node_type", "group"}});
    write_json(array_ / "zarr.json", document);
    return open_zarr(store_)->array("a");
  }

  /// What opening says of a document that is not supported.
  template <class Open>
  std::string refusal(Open&& open) {
    try {
      (void)open();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input);
      EXPECT_THAT(error.what(), testing::StartsWith("store.zarr: a: "));
      return error.what();
    }
    return "nothing";
  }

  TempFolder folder_;
  fs::path store_ = folder_.path() / "store.zarr";
  fs::path array_ = store_ / "a";
  const std::vector<std::int32_t> counted_ = {1, 2, 3, 4};
};

TEST_F(ZarrLayout, BigEndianElements) {
  const std::vector<unsigned char> bytes = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4};
  write_values(array_ / "0", bytes);
  EXPECT_EQ(read_all<std::int32_t>(*open_v2({{"dtype", ">i4"}})), counted_);
  fs::remove_all(store_);
  write_values(array_ / "c/0", bytes);
  const json codecs = json::array({{{"name", "bytes"}, {"configuration", {{"endian", "big"}}}}});
  EXPECT_EQ(read_all<std::int32_t>(*open_v3({{"codecs", codecs}})), counted_);
}

TEST_F(ZarrLayout, ColumnMajorChunks) {
  // [[1, 2, 3], [4, 5, 6]] in one chunk of 2 × 3 with its columns one after the other.
  write_values<std::int32_t>(array_ / "0.0", {1, 4, 2, 5, 3, 6});
  const std::vector<std::int32_t> expected = {1, 2, 3, 4, 5, 6};
  const json shape = {{"shape", {2, 3}}, {"chunks", {2, 3}}, {"order", "F"}};
  EXPECT_EQ(read_all<std::int32_t>(*open_v2(shape)), expected);
}

TEST_F(ZarrLayout, TransposedAxes) {
  // Axes (z, x, y) of a 1 × 2 × 2 array with z last.
  write_values<std::int32_t>(array_ / "c/0/0/0", {1, 3, 2, 4});
  const json codecs = json::array(
      {{{"name", "transpose"}, {"configuration", {{"order", {2, 1, 0}}}}}, {{"name", "bytes"}}});
  const json grid = {{"name", "regular"}, {"configuration", {{"chunk_shape", {1, 2, 2}}}}};
  const auto array = open_v3({{"shape", {1, 2, 2}}, {"chunk_grid", grid}, {"codecs", codecs}});
  EXPECT_EQ(read_all<std::int32_t>(*array), counted_);
}

TEST_F(ZarrLayout, ChunkKeysOfEveryEncoding) {
  const json shape = {{"shape", {1, 4}}, {"chunks", {1, 2}}};
  const auto put = [&](const fs::path& first, const fs::path& second) {
    fs::remove_all(store_);
    write_values<std::int32_t>(array_ / first, {1, 2});
    write_values<std::int32_t>(array_ / second, {3, 4});
  };
  put("0.0", "0.1");
  EXPECT_EQ(read_all<std::int32_t>(*open_v2(shape)), counted_);
  put("0/0", "0/1");
  json nested = shape;
  nested["dimension_separator"] = "/";
  EXPECT_EQ(read_all<std::int32_t>(*open_v2(nested)), counted_);

  const json grid = {{"name", "regular"}, {"configuration", {{"chunk_shape", {1, 2}}}}};
  const auto read_v3 = [&](const json& encoding) {
    return read_all<std::int32_t>(
        *open_v3({{"shape", {1, 4}}, {"chunk_grid", grid}, {"chunk_key_encoding", encoding}}));
  };
  put("c/0/0", "c/0/1");
  EXPECT_EQ(read_v3({{"name", "default"}}), counted_);
  put("c.0.0", "c.0.1");
  EXPECT_EQ(read_v3({{"name", "default"}, {"configuration", {{"separator", "."}}}}), counted_);
  put("0.0", "0.1");
  EXPECT_EQ(read_v3({{"name", "v2"}}), counted_);
}

TEST_F(ZarrLayout, ScalarsOfBothFormats) {
  write_values<std::int32_t>(array_ / "0", {7});
  EXPECT_EQ(read_all<std::int64_t>(*open_v2({{"shape", json::array()}, {"chunks", json::array()}})),
            std::vector<std::int64_t>{7});
  fs::remove_all(store_);
  write_values<std::int32_t>(array_ / "c", {7});
  const json grid = {{"name", "regular"}, {"configuration", {{"chunk_shape", json::array()}}}};
  EXPECT_EQ(read_all<std::int64_t>(*open_v3({{"shape", json::array()}, {"chunk_grid", grid}})),
            std::vector<std::int64_t>{7});
}

TEST_F(ZarrLayout, FixedLengthStrings) {
  write_values<char32_t>(array_ / "0", {U'a', 0, 0, U'ü', U'細', 0, U'🧬', 0, 0, 0, 0, 0});
  EXPECT_EQ(open_v2({{"dtype", "<U3"}, {"fill_value", ""}})->read_strings({0, 4}).to_vector(),
            (std::vector<std::string>{"a", "ü細", "🧬", ""}));
  write_values<char>(array_ / "0", {'a', 0, 0, 'b', 'c', 'd', 0, 0, 0, 'e', 'f', 0});
  EXPECT_EQ(open_v2({{"dtype", "|S3"}, {"fill_value", ""}})->read_strings({1, 4}).to_vector(),
            (std::vector<std::string>{"bcd", "", "ef"}));
  write_values<char32_t>(array_ / "0", {0xD800, 0, 0, 0});
  EXPECT_THROW((void)open_v2({{"dtype", "<U1"}, {"fill_value", ""}})->read_strings({0, 4}), Error);
}

TEST_F(ZarrLayout, StringsInSeveralChunksARowAreRead) {
  // 3 × 3 in chunks of 2 × 2; the one at the bottom right was never written.
  json strings = {{"dtype", "|S1"}, {"fill_value", ""}, {"shape", {3, 3}}, {"chunks", {2, 2}}};
  write_values<char>(array_ / "0.0", {'a', 'b', 'd', 'e'});
  write_values<char>(array_ / "0.1", {'c', 0, 'f', 0});
  write_values<char>(array_ / "1.0", {'g', 'h', 0, 0});
  const std::vector<std::string> all = {"a", "b", "c", "d", "e", "f", "g", "h", ""};
  EXPECT_EQ(open_v2(strings)->read_strings({0, 3}).to_vector(), all);
  EXPECT_EQ(open_v2(strings)->read_strings({1, 3}).to_vector(),
            std::vector<std::string>(all.begin() + 3, all.end()));
  strings["order"] = "F";
  write_values<char>(array_ / "0.0", {'a', 'd', 'b', 'e'});
  write_values<char>(array_ / "0.1", {'c', 'f', 0, 0});
  write_values<char>(array_ / "1.0", {'g', 0, 'h', 0});
  EXPECT_EQ(open_v2(strings)->read_strings({0, 3}).to_vector(), all);
}

TEST_F(ZarrLayout, StringsOfAnyLengthInFortransOrderAreRead) {
  const json strings = {{"dtype", "|O"},    {"filters", {{{"id", "vlen-utf8"}}}},
                        {"fill_value", ""}, {"shape", {2, 2}},
                        {"chunks", {2, 2}}, {"order", "F"}};
  write_values<unsigned char>(array_ / "0.0", {4,   0, 0, 0, 1, 0,   0,   0, 'a', 1, 0, 0,  0,
                                               'c', 2, 0, 0, 0, 'b', 'b', 1, 0,   0, 0, 'd'});
  EXPECT_EQ(open_v2(strings)->read_strings({0, 2}).to_vector(),
            (std::vector<std::string>{"a", "bb", "c", "d"}));
}

TEST_F(ZarrLayout, DatesAreNumbersThatKeepTheirType) {
  write_values<std::int64_t>(array_ / "0", {1, 2, 3, INT64_MIN});
  const auto dates = open_v2({{"dtype", "<M8[25s]"}});
  EXPECT_EQ(dates->info().dtype, DType::int64);
  EXPECT_EQ(dates->info().time, "M8[25s]");
  EXPECT_EQ(open_v2({{"dtype", ">m8[ns]"}})->info().time, "m8[ns]");
  EXPECT_EQ(open_v2({{"dtype", "<i8"}})->info().time, "");
  for (const char* bad : {"<M8[", "<M8[]", "<M8[7]", "<M8[ns", "<M8[9999999999s]", "<M8ns"}) {
    EXPECT_THROW((void)open_v2({{"dtype", bad}}), Error) << bad;
  }
  fs::remove_all(store_);
  const auto time_of = [&](const json& options) {
    return open_v3({{"data_type", {{"name", "numpy.datetime64"}, {"configuration", options}}}})
        ->info()
        .time;
  };
  EXPECT_EQ(time_of({{"unit", "us"}, {"scale_factor", 1}}), "M8[us]");
  EXPECT_EQ(time_of({{"unit", "s"}, {"scale_factor", 25}}), "M8[25s]");
  EXPECT_EQ(time_of({{"unit", "generic"}}), "M8");
  EXPECT_THROW((void)time_of({{"unit", "s]"}}), Error);
  EXPECT_THROW((void)time_of({{"unit", "s"}, {"scale_factor", 0}}), Error);
}

TEST_F(ZarrLayout, StringsThatEndEarlyAreAnError) {
  const json strings = {{"dtype", "|O"},
                        {"filters", {{{"id", "vlen-utf8"}}}},
                        {"fill_value", ""},
                        {"shape", {2}},
                        {"chunks", {2}}};
  const auto read = [&](const std::vector<unsigned char>& bytes) {
    write_values(array_ / "0", bytes);
    return open_v2(strings)->read_strings({0, 2});
  };
  EXPECT_EQ(read({2, 0, 0, 0, 1, 0, 0, 0, 'x', 0, 0, 0, 0})[0], "x");
  EXPECT_THROW(read({2, 0, 0, 0, 1, 0, 0, 0, 'x', 0, 0, 0}), Error);
  EXPECT_THROW(read({2, 0, 0, 0, 9, 0, 0, 0, 'x', 0, 0, 0, 0}), Error);
  EXPECT_THROW(read({2, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 'x', 0, 0, 0, 0}), Error);
  EXPECT_THROW(read({1, 0, 0, 0, 1, 0, 0, 0, 'x'}), Error);
  EXPECT_THROW(read({}), Error);
}

TEST_F(ZarrLayout, FillValuesOfEveryKind) {
  const auto fill_v2 = [&](const char* dtype, const json& value) {
    return read_all<double>(*open_v2({{"dtype", dtype}, {"fill_value", value}}))[3];
  };
  EXPECT_EQ(fill_v2("<i4", 7), 7.0);
  EXPECT_EQ(fill_v2("<i4", nullptr), 0.0);
  EXPECT_EQ(fill_v2("<i8", -5), -5.0);
  EXPECT_EQ(fill_v2("<u8", 18446744073709551615ULL), 18446744073709551616.0);
  EXPECT_EQ(fill_v2("|b1", true), 1.0);
  EXPECT_EQ(fill_v2("<f4", 0.5), 0.5);
  EXPECT_TRUE(std::isnan(fill_v2("<f4", "NaN")));
  EXPECT_EQ(fill_v2("<f8", "-Infinity"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(fill_v2(">i4", 7), 7.0);
  fs::remove_all(store_);
  EXPECT_TRUE(std::isnan(
      read_all<double>(*open_v3({{"data_type", "float32"}, {"fill_value", "0x7fc00000"}}))[0]));
  EXPECT_THROW((void)open_v3({{"data_type", "float32"}, {"fill_value", "zero"}}), Error);
}

TEST_F(ZarrLayout, MissingStringsAreTheFillValue) {
  const json strings = {{"dtype", "|O"}, {"filters", {{{"id", "vlen-utf8"}}}}};
  json text = strings;
  text["fill_value"] = "none";
  EXPECT_EQ(open_v2(text)->read_strings({1, 3}).to_vector(),
            (std::vector<std::string>{"none", "none"}));
  json zero = strings;  // as anndata once wrote it
  zero["fill_value"] = 0;
  EXPECT_EQ(open_v2(zero)->read_strings({0, 1})[0], "");
}

TEST_F(ZarrLayout, ChecksumsAreVerified) {
  Bytes bytes;
  const auto values = std::as_bytes(std::span(counted_));
  bytes.assign(values.begin(), values.end());
  const std::uint32_t checksum = crc32c(bytes);
  for (int shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<std::byte>(checksum >> shift & 0xFF));
  }
  const json codecs = json::array({{{"name", "bytes"}}, {{"name", "crc32c"}}});
  write_bytes(array_ / "c/0", bytes);
  EXPECT_EQ(read_all<std::int32_t>(*open_v3({{"codecs", codecs}})), counted_);
  bytes[3] ^= std::byte{1};
  write_bytes(array_ / "c/0", bytes);
  try {
    (void)read_all<std::int32_t>(*open_v3({{"codecs", codecs}}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::StartsWith("store.zarr: a, chunk 0 (c/0): crc32c is "));
  }
}

TEST_F(ZarrLayout, ChecksumsOfNumcodecsStandInFront) {
  const auto values = std::as_bytes(std::span(counted_));
  for (const auto& [id, checksum] :
       {std::pair("crc32", crc32(values)), {"adler32", adler32(values)}}) {
    std::vector<std::uint32_t> stored = {checksum, 1, 2, 3, 4};
    const json filter = {{"filters", {{{"id", id}}}}};
    write_values(array_ / "0", stored);
    EXPECT_EQ(read_all<std::int32_t>(*open_v2(filter)), counted_);
    stored[2] = 7;
    write_values(array_ / "0", stored);
    EXPECT_THROW((void)read_all<std::int32_t>(*open_v2(filter)), Error) << id;
    const json behind = {{"filters", {{{"id", id}, {"location", "end"}}}}};
    write_values<std::uint32_t>(array_ / "0", {1, 2, 3, 4, checksum});
    EXPECT_EQ(read_all<std::int32_t>(*open_v2(behind)), counted_);
  }
}

TEST_F(ZarrLayout, HalfFloatsAreReadAsFloats) {
  // 1, -2, the smallest subnormal, infinity; then NaN, 65504, 0.333251953125, -0.
  write_values<std::uint16_t>(array_ / "0", {0x3c00, 0xc000, 0x0001, 0x7c00});
  auto array = open_v2({{"dtype", "<f2"}});
  EXPECT_EQ(array->info().dtype, DType::float32);
  EXPECT_EQ(read_all<float>(*array),
            (std::vector<float>{1, -2, 0x1p-24F, std::numeric_limits<float>::infinity()}));
  write_values<std::uint16_t>(array_ / "0", {0x007e, 0xff7b, 0x5535, 0x0080});  // big-endian
  const auto values = read_all<float>(*open_v2({{"dtype", ">f2"}}));
  EXPECT_TRUE(std::isnan(values[0]));
  EXPECT_EQ(values[1], 65504.0F);
  EXPECT_EQ(values[2], 0.333251953125F);
  EXPECT_TRUE(std::signbit(values[3]));
  write_values<std::uint16_t>(array_ / "0.0", {0x3c00, 0x4000, 0x4200, 0x4400});
  const json columns = {{"dtype", "<f2"}, {"shape", {2, 2}}, {"chunks", {2, 2}}, {"order", "F"}};
  EXPECT_EQ(read_all<float>(*open_v2(columns)), (std::vector<float>{1, 3, 2, 4}));
  fs::remove(array_ / "0");
  EXPECT_EQ(read_all<float>(*open_v2({{"dtype", "<f2"}, {"fill_value", 0.5}}))[0], 0.5F);
  EXPECT_EQ(read_all<float>(*open_v2({{"dtype", "<f2"}, {"fill_value", "0x4200"}}))[0], 3.0F);
}

TEST_F(ZarrLayout, DatesAreTheirNumbers) {
  write_values<std::int64_t>(array_ / "0", {1, INT64_MIN, 3, 4});
  const auto array = open_v2({{"dtype", "<M8[ns]"}});
  EXPECT_EQ(array->info().dtype, DType::int64);
  EXPECT_EQ(read_all<std::int64_t>(*array), (std::vector<std::int64_t>{1, INT64_MIN, 3, 4}));
  fs::remove_all(store_);
  write_values<std::int64_t>(array_ / "c/0", {1, 2, 3, 4});
  const json type = {{"name", "numpy.timedelta64"},
                     {"configuration", {{"unit", "s"}, {"scale_factor", 1}}}};
  EXPECT_EQ(read_all<std::int32_t>(*open_v3({{"data_type", type}})), counted_);
  fs::remove(array_ / "c/0");
  EXPECT_EQ(read_all<std::int64_t>(*open_v3({{"data_type", type}, {"fill_value", "NaT"}}))[0],
            INT64_MIN);
}

TEST_F(ZarrLayout, FiltersBeforeTheCompressor) {
  Bytes shuffled(16);
  byte_shuffle(std::as_bytes(std::span(counted_)), shuffled, 4);
  write_bytes(array_ / "0", deflate_zlib(shuffled, 5));
  const auto array = open_v2({{"filters", {{{"id", "shuffle"}, {"elementsize", 4}}}},
                              {"compressor", {{"id", "zlib"}, {"level", 5}}}});
  EXPECT_EQ(read_all<std::int32_t>(*array), counted_);
  EXPECT_EQ(array->info().codecs, "shuffle+zlib(5)");
}

TEST_F(ZarrLayout, WhatIsNotSupportedIsNamed) {
  const auto v2 = [&](const json& changes) { return refusal([&] { return open_v2(changes); }); };
  const auto has = [](const char* text) { return testing::HasSubstr(text); };
  EXPECT_THAT(v2({{"compressor", {{"id", "lzma"}}}}), has("'lzma'"));
  EXPECT_THAT(v2({{"filters", {{{"id", "delta"}, {"dtype", "<i4"}}}}}), has("'delta'"));
  EXPECT_THAT(v2({{"dtype", "<c8"}}), has("\"<c8\""));
  EXPECT_THAT(v2({{"dtype", "|O"}}), has("vlen-utf8"));
  EXPECT_THAT(v2({{"chunks", {0}}}), has("expected > 0"));
  EXPECT_THAT(v2({{"chunks", {4, 4}}}), has("dimensions"));
  EXPECT_THAT(v2({{"shape", {-1}}}), has("shape"));
  EXPECT_THAT(v2({{"shape", {INT64_MAX}}, {"chunks", {1}}}), has("too large"));
  EXPECT_THAT(v2({{"shape", {INT64_MAX / 16}}, {"chunks", {INT64_MAX / 16}}}),
              has("chunks of over"));
  EXPECT_THAT(v2({{"shape", "many"}}), has("store.zarr: a: .zarray"));
  EXPECT_THAT(v2({{"shape", {4.5}}}), has("4.5"));
  fs::remove_all(store_);
  const auto v3 = [&](const json& changes) { return refusal([&] { return open_v3(changes); }); };
  EXPECT_THAT(v3({{"data_type", "complex64"}}), has("complex64"));
  EXPECT_THAT(v3({{"codecs", json::array()}}), has("codecs"));
  EXPECT_THAT(v3({{"codecs", {{{"name", "bytes"}}, {{"name", "pcodec"}}}}}), has("'pcodec'"));
  EXPECT_THAT(v3({{"codecs", {{{"name", "zstd"}}, {{"name", "bytes"}}}}}), has("'zstd'"));
  EXPECT_THAT(v3({{"chunk_grid", {{"name", "rectilinear"}}}}), has("rectilinear"));
  EXPECT_THAT(v3({{"chunk_key_encoding", {{"name", "hashed"}}}}), has("hashed"));
  EXPECT_THAT(v3({{"storage_transformers", {{{"name", "x"}}}}}), has("storage_transformers"));
  EXPECT_THAT(v3({{"codecs", nullptr}}), has("codecs"));
}

TEST_F(ZarrLayout, ReadOnlyLayoutsAreNotWritten) {
  (void)open_v2({{"dtype", ">i4"}});
  EXPECT_THROW((void)open_zarr(store_, OpenMode::update)->open_writer("a"), Error);
}

TEST_F(ZarrLayout, TooShortChunksAreErrors) {
  write_values<std::int32_t>(array_ / "0", {1, 2, 3});
  EXPECT_THROW((void)read_all<std::int32_t>(*open_v2()), Error);
  write_values<std::int32_t>(array_ / "0", {1, 2, 3, 4, 5});
  EXPECT_THROW((void)read_all<std::int32_t>(*open_v2()), Error);
  write_values<std::int32_t>(array_ / "0", {});
  EXPECT_THROW((void)read_all<std::int32_t>(*open_v2()), Error);
}

}  // namespace
}  // namespace cellmill
