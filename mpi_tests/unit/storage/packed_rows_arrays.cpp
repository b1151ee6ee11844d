#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/packed_rows.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_metadata.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::HasSubstr;

/// Rows of 0 to 12 elements, cut at random by chunks of 16 in shards of 3.
class PackedRowsArrays : public testing::Test {
 protected:
  static constexpr std::int64_t length = 16;

  PackedRowsArrays() {
    for (std::int64_t row = 0; row < 20; ++row) {
      for (std::int64_t i = 0; i < row * 5 % 13; ++i) {
        columns.push_back(static_cast<std::int32_t>(row + i * i * 7));
        counts.push_back(static_cast<float>(i == 5 ? 1000 : 1 + i % 3));
      }
      ends.push_back(static_cast<std::int64_t>(columns.size()));
    }
  }

  [[nodiscard]] std::int64_t size() const { return ends.back(); }

  template <class T>
  std::vector<RawVector<std::byte>> chunks(PackedKind kind, const std::vector<T>& values) const {
    std::vector<RawVector<std::byte>> packed;
    for (std::int64_t first = 0; first < size(); first += length) {
      const auto n = static_cast<std::size_t>(std::min(length, size() - first));
      packed.push_back(
          pack_chunk(kind, dtype_of<T>(),
                     std::as_bytes(std::span(values).subspan(static_cast<std::size_t>(first), n)),
                     first, ends));
    }
    return packed;
  }

  [[nodiscard]] ArraySpec spec(DType dtype) const {
    ArraySpec spec;
    spec.dtype = dtype;
    spec.shape = {size()};
    spec.chunk_shape = {length};
    spec.shard_shape = {3 * length};
    spec.codec = "packed_rows";
    return spec;
  }

  void write() const {
    const auto root = open_zarr(path(), OpenMode::create);
    root->create_array("indices", spec(DType::int32))
        ->write_packed(0, chunks(PackedKind::indices, columns));
    const auto writer = root->create_array("data", spec(DType::float32));
    const auto packed = chunks(PackedKind::counts, counts);
    const std::span<const RawVector<std::byte>> all = packed;
    writer->write_packed(3 * length, all.subspan(3));
    writer->write_packed(0, all.first(3));
  }

  [[nodiscard]] std::filesystem::path path() const { return folder.path() / "x.zarr"; }

  TempFolder folder;
  std::vector<std::int32_t> columns;
  std::vector<float> counts;
  std::vector<std::int64_t> ends;
};

TEST_F(PackedRowsArrays, ReadLikeAnyOther) {
  write();
  const auto root = open_zarr(path());
  EXPECT_EQ(read_all<std::int32_t>(*root->array("indices")), columns);
  EXPECT_EQ(read_all<float>(*root->array("data")), counts);
  EXPECT_EQ(read_range<float>(*root->array("data"), {5, 7}),
            std::vector<float>(counts.begin() + 5, counts.begin() + 7));
  EXPECT_EQ(root->array("data")->info().codecs, "packed rows+crc32c, sharded");
}

TEST_F(PackedRowsArrays, GiveRowsOneByOne) {
  write();
  const auto array = open_zarr(path())->array("data");
  const PackedRows* const packed = array->packed_rows();
  ASSERT_NE(packed, nullptr);
  std::vector<EncodedChunk> encoded;
  for (std::int64_t chunk = 0; chunk < chunk_count(array->info()); ++chunk) {
    encoded.push_back(array->fetch(chunk));
    packed->verify(encoded.back());
  }
  std::int64_t begin = 0;
  for (const std::int64_t end : ends) {
    std::vector<float> row(static_cast<std::size_t>(end - begin) + PackedRows::slack);
    std::vector<std::int32_t> integers(row.size());
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t chunk = at / length;
      const std::int64_t stop = std::min(end, (chunk + 1) * length);
      const Range part{at - chunk * length, stop - chunk * length};
      const auto place = static_cast<std::size_t>(at - begin);
      packed->decode(encoded[static_cast<std::size_t>(chunk)], part, std::span(row).subspan(place));
      packed->decode(encoded[static_cast<std::size_t>(chunk)], part,
                     std::span(integers).subspan(place));
      at = stop;
    }
    EXPECT_TRUE(std::equal(counts.begin() + begin, counts.begin() + end, row.begin()));
    EXPECT_TRUE(std::equal(counts.begin() + begin, counts.begin() + end, integers.begin()));
    begin = end;
  }
}

TEST_F(PackedRowsArrays, GiveManyPartsInOneCall) {
  write();
  const auto root = open_zarr(path());
  const auto array = root->array("indices");
  FetchedChunks fetched;
  array->fetch_many({0, chunk_count(array->info())}, fetched);
  const std::vector<EncodedChunk>& encoded = fetched.chunks;
  // Rows from the last to the first, each with all its pieces.
  std::vector<PackedPart> parts;
  std::vector<std::int32_t> expected;
  for (std::size_t row = ends.size(); row-- > 0;) {
    const std::int64_t begin = row == 0 ? 0 : ends[row - 1];
    for (std::int64_t at = begin; at < ends[row];) {
      const std::int64_t chunk = at / length;
      const std::int64_t stop = std::min(ends[row], (chunk + 1) * length);
      parts.push_back({&encoded[static_cast<std::size_t>(chunk)],
                       {at - chunk * length, stop - chunk * length}});
      at = stop;
    }
    expected.insert(expected.end(), columns.begin() + begin, columns.begin() + ends[row]);
  }
  for (const Landing landing : {Landing::caches, Landing::memory}) {
    for (std::size_t count : {parts.size(), std::size_t{1}, std::size_t{5}, std::size_t{0}}) {
      std::vector<std::int32_t> out(expected.size() + PackedRows::slack);
      std::size_t n = 0;
      for (std::size_t i = 0; i < count; ++i) n += static_cast<std::size_t>(parts[i].part.size());
      array->packed_rows()->decode(std::span(parts).first(count), std::span(out), landing);
      EXPECT_TRUE(std::equal(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(n),
                             out.begin()));
    }
  }
}

TEST_F(PackedRowsArrays, RefusePartsThatAreNone) {
  write();
  const auto array = open_zarr(path())->array("data");
  const EncodedChunk encoded = array->fetch(0);
  std::vector<float> out(4);
  for (const Range part : {Range{-1, 2}, Range{3, 2}, Range{0, 5}}) {
    EXPECT_THROW(array->packed_rows()->decode(encoded, part, std::span(out)), Error);
  }
  std::vector<float> much(20);
  EXPECT_THROW(array->packed_rows()->decode(encoded, {10, 17}, std::span(much)), Error);
}

TEST_F(PackedRowsArrays, AreTheOnlyOnesThatGiveRows) {
  const auto root = open_zarr(path(), OpenMode::create);
  write_array<float>(*root, "plain", counts);
  EXPECT_EQ(root->array("plain")->packed_rows(), nullptr);
}

TEST_F(PackedRowsArrays, ChunksNeverWrittenAreZeros) {
  open_zarr(path(), OpenMode::create)->create_array("data", spec(DType::int16));
  const auto array = open_zarr(path())->array("data");
  const EncodedChunk encoded = array->fetch(1);
  array->packed_rows()->verify(encoded);
  std::vector<float> row(3 + PackedRows::slack, 7.0F);
  array->packed_rows()->decode(encoded, {2, 5}, std::span(row));
  EXPECT_EQ(std::vector<float>(row.begin(), row.begin() + 3), std::vector<float>(3, 0.0F));
}

TEST_F(PackedRowsArrays, DamagedChunksAreNamed) {
  write();
  const auto array = open_zarr(path())->array("data");
  EncodedChunk encoded = array->fetch(2);
  std::vector<std::byte> bytes(encoded.bytes.begin(), encoded.bytes.end());
  bytes[20] ^= std::byte{1};
  encoded.bytes = bytes;
  try {
    array->packed_rows()->verify(encoded);
    FAIL() << "took a damaged chunk";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("data, chunk 2: crc32c"));
  }
  encoded.bytes = encoded.bytes.first(10);
  std::vector<float> out(1 + PackedRows::slack);
  EXPECT_THROW(array->packed_rows()->decode(encoded, {0, 1}, std::span(out)), Error);
  encoded.bytes = {};
  EXPECT_THROW(array->packed_rows()->decode(encoded, {0, 1}, std::span(out)), Error);
}

TEST_F(PackedRowsArrays, ChunksOfOtherElementsAreRefused) {
  const auto root = open_zarr(path(), OpenMode::create);
  const auto writer = root->create_array("data", spec(DType::float32));
  auto packed = chunks(PackedKind::counts, counts);
  std::swap(packed.front(), packed.back());
  EXPECT_THROW(writer->write_packed(0, packed), Error);
  packed.pop_back();
  EXPECT_THROW(writer->write_packed(0, packed), Error);
  EXPECT_THROW(writer->write_packed(length, packed), Error);
  ArraySpec other = spec(DType::float32);
  other.codec = "zstd";
  EXPECT_THROW(
      root->create_array("other", other)->write_packed(0, chunks(PackedKind::counts, counts)),
      Error);
}

TEST_F(PackedRowsArrays, AChunkWithTooFewElementsOrOfAnotherTypeIsRefused) {
  write();
  const auto file = path() / "data" / "zarr.json";
  const nlohmann::json document = read_json_file(file).value();
  nlohmann::json longer = document;
  longer["shape"] = {size() + 1};
  std::ofstream(file) << longer.dump();
  EXPECT_THROW((void)read_all<float>(*open_zarr(path())->array("data")), Error);
  nlohmann::json wider = document;
  wider["data_type"] = "float64";
  std::ofstream(file) << wider.dump();
  EXPECT_THROW((void)read_all<float>(*open_zarr(path())->array("data")), Error);
}

TEST_F(PackedRowsArrays, MayOnlyBeNumbersInOneDimensionOfZarr3) {
  const auto root = open_zarr(path(), OpenMode::create);
  ArraySpec bad = spec(DType::float32);
  bad.shape = {4, 4};
  bad.chunk_shape = {4, 4};
  bad.shard_shape = {};
  EXPECT_THROW((void)root->create_array("a", bad), Error);
  bad = spec(DType::string);
  EXPECT_THROW((void)root->create_array("b", bad), Error);
  bad = spec(DType::float32);
  bad.shard_shape = {};
  const auto old = open_zarr(folder.path() / "old.zarr", OpenMode::create, StoreFormat::zarr2);
  EXPECT_THROW((void)old->create_array("c", bad), Error);
}

TEST_F(PackedRowsArrays, UnpackWithoutAStore) {
  const auto packed = chunks(PackedKind::indices, columns);
  std::vector<std::int32_t> out(length);
  unpack_chunk(packed.back(), DType::int32, std::as_writable_bytes(std::span(out)));
  const auto n = static_cast<std::size_t>(size() % length);
  EXPECT_TRUE(
      std::equal(columns.end() - static_cast<std::ptrdiff_t>(n), columns.end(), out.begin()));
  for (std::size_t i = n; i < out.size(); ++i) EXPECT_EQ(out[i], 0);
  EXPECT_THROW(unpack_chunk(packed[0], DType::int32,
                            std::as_writable_bytes(std::span(out)).first(4 * (length - 1))),
               Error);
  EXPECT_THROW(unpack_chunk(packed[0], DType::int64, std::as_writable_bytes(std::span(out))),
               Error);
}

}  // namespace
}  // namespace cellmill
