#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/shard_file.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t chunk = 100;
constexpr std::int64_t shard_chunks = 4;

ArraySpec spec_of(std::int64_t length, const std::string& codec = "lz4") {
  ArraySpec spec;
  spec.dtype = DType::int32;
  spec.shape = {length};
  spec.chunk_shape = {chunk};
  spec.shard_shape = {chunk * shard_chunks};
  spec.codec = codec;
  spec.block_bytes = 128;
  spec.checksums = true;
  return spec;
}

std::vector<std::int32_t> numbers(std::int64_t count) {
  std::vector<std::int32_t> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

/// Writes shards of `values` into the array's folder, chunk by chunk.
void write_shards(const fs::path& array, const ArraySpec& spec,
                  const std::vector<std::int32_t>& values) {
  const ChunkEncoder encoder(spec, PackedKind::indices);
  const auto length = static_cast<std::int64_t>(values.size());
  const std::array<std::int64_t, 1> one_row = {length};
  std::int64_t first = 0;
  for (std::int64_t shard = 0; first < length; ++shard) {
    ShardFile file(array, shard, shard_chunks);
    for (; first < length && !file.full(); first += chunk) {
      const auto some =
          std::span(values).subspan(static_cast<std::size_t>(first),
                                    static_cast<std::size_t>(std::min(chunk, length - first)));
      file.append(encoder.encode(std::as_bytes(some), first, one_row));
    }
    file.finish();
  }
}

class ShardFiles : public ::testing::TestWithParam<const char*> {};

TEST_P(ShardFiles, ChunkByChunkTheyAreTheArray) {
  for (const std::int64_t length : {1, 99, 100, 101, 400, 401, 1150}) {
    const TempFolder folder;
    const fs::path store = folder.path() / "s.zarr";
    const auto root = open_zarr(store, OpenMode::create);
    const std::vector<std::int32_t> values = numbers(length);
    const ArraySpec spec = spec_of(length, GetParam());
    write_shards(store / "a", spec, values);
    (void)root->create_array("a", spec);  // the document may come last
    EXPECT_EQ(read_all<std::int32_t>(*root->array("a")), values) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, ShardFiles,
                         ::testing::Values("lz4", "packed_rows", "zstd", "none"));

TEST(ShardFile, ChunksThatWereNotWrittenReadAsZero) {
  const TempFolder folder;
  const fs::path store = folder.path() / "s.zarr";
  const auto root = open_zarr(store, OpenMode::create);
  const ArraySpec spec = spec_of(chunk * shard_chunks);
  write_shards(store / "a", spec, numbers(chunk));
  (void)root->create_array("a", spec);
  std::vector<std::int32_t> expected = numbers(chunk);
  expected.resize(chunk * shard_chunks);
  EXPECT_EQ(read_all<std::int32_t>(*root->array("a")), expected);
}

TEST(ShardFile, VerifyFindsWhatIsNotWhole) {
  const TempFolder folder;
  const fs::path array = folder.path() / "a";
  write_shards(array, spec_of(800), numbers(800));
  const fs::path file = array / "c" / "1";
  const auto verify = [&] { verify_shard(array, 1, shard_chunks, shard_chunks); };
  EXPECT_NO_THROW(verify());
  EXPECT_THROW(verify_shard(array, 1, shard_chunks, 3), Error);
  EXPECT_THROW(verify_shard(array, 2, shard_chunks, shard_chunks), Error);

  const auto flip = [&](std::uintmax_t at) {
    std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
    bytes.seekg(static_cast<std::streamoff>(at));
    const auto byte = static_cast<char>(bytes.get() ^ 1);
    bytes.seekp(static_cast<std::streamoff>(at));
    bytes.put(byte);
  };
  const std::uintmax_t size = fs::file_size(file);
  for (const std::uintmax_t at : {std::uintmax_t{20}, size / 2, size - 30, size - 2}) {
    flip(at);
    EXPECT_THROW(verify(), Error) << at;
    flip(at);
  }
  EXPECT_NO_THROW(verify());
  fs::resize_file(file, size - 1);
  EXPECT_THROW(verify(), Error);
  fs::resize_file(file, 3);
  EXPECT_THROW(verify(), Error);
}

TEST(ShardFile, AFolderThatCantBeWrittenIsNamed) {
  const TempFolder folder;
  std::ofstream(folder.path() / "a") << "a file";
  try {
    const ShardFile file(folder.path() / "a", 0, shard_chunks);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::io);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("a/c/0"));
  }
}

TEST(ChunkEncoder, RefusesMoreThanAChunk) {
  const ChunkEncoder encoder(spec_of(1000));
  const std::vector<std::int32_t> values = numbers(chunk + 1);
  EXPECT_THROW((void)encoder.encode(std::as_bytes(std::span(values)), 0, {}), Error);
}

}  // namespace
}  // namespace cellmill
