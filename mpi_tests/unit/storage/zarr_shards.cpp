#include "storage/zarr_shards.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/zarr_array.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

class ZarrShards : public testing::Test {
 protected:
  void SetUp() override {
    values_.resize(10);
    std::iota(values_.begin(), values_.end(), 1);
    ArraySpec spec;
    spec.dtype = DType::int32;
    spec.shape = {10};
    spec.chunk_shape = {2};
    spec.shard_shape = {6};
    spec.codec = "none";
    open_zarr(store_, OpenMode::create)
        ->create_array("x", spec)
        ->write_rows(0, std::as_bytes(std::span(values_)));
  }

  [[nodiscard]] std::unique_ptr<Array> open() const { return open_zarr(store_)->array("x"); }

  void overwrite(std::streamoff at, const std::string& bytes) const {
    std::fstream file(store_ / "x/c/0", std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << bytes;
  }

  [[nodiscard]] std::string failure() const {
    try {
      (void)read_all<std::int32_t>(*open());
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input);
      return error.what();
    }
    return "nothing";
  }

  TempFolder folder_;
  fs::path store_ = folder_.path() / "s.zarr";
  std::vector<std::int32_t> values_;
};

// A shard here: 3 chunks of 8 bytes, then 3 × 16 bytes of index and its crc32c of 4.

TEST_F(ZarrShards, AreSeenAsTheirInnerChunks) {
  const std::unique_ptr<Array> array = open();
  EXPECT_EQ(array->info().chunk_shape, std::vector<std::int64_t>{2});
  EXPECT_EQ(chunk_count(array->info()), 5);
  EXPECT_EQ(array->encoded_bytes(4), 8);
  EXPECT_EQ(fs::file_size(store_ / "x/c/0"), 3U * 8 + 3 * 16 + 4);
  // The third inner chunk of the second shard lies beyond the array: not written.
  EXPECT_EQ(fs::file_size(store_ / "x/c/1"), 2U * 8 + 3 * 16 + 4);
  EXPECT_EQ(read_all<std::int32_t>(*array), values_);
  EXPECT_EQ(read_range<std::int32_t>(*array, {5, 7}), (std::vector<std::int32_t>{6, 7}));
}

TEST_F(ZarrShards, MissingShardsAreFilled) {
  fs::remove(store_ / "x/c/0");
  const std::unique_ptr<Array> array = open();
  EXPECT_TRUE(array->fetch(0).missing);
  EXPECT_EQ(array->encoded_bytes(0), 0);
  EXPECT_EQ(read_all<std::int32_t>(*array),
            (std::vector<std::int32_t>{0, 0, 0, 0, 0, 0, 7, 8, 9, 10}));
}

TEST_F(ZarrShards, ADamagedIndexIsAnError) {
  overwrite(24 + 3, "\x01");
  EXPECT_THAT(failure(),
              testing::AllOf(testing::HasSubstr("s.zarr: x, chunk 0"),
                             testing::HasSubstr("shard c/0"), testing::HasSubstr("crc32c")));
}

TEST_F(ZarrShards, AShardShorterThanItsIndexIsAnError) {
  for (const std::uintmax_t size : {51U, 4U, 1U, 0U}) {
    fs::resize_file(store_ / "x/c/0", size);
    EXPECT_THAT(failure(), testing::HasSubstr("expected an index of 3 chunks"));
  }
}

TEST_F(ZarrShards, UnitsAreWholeShards) {
  const std::unique_ptr<Group> root = open_zarr(store_, OpenMode::update);
  const std::unique_ptr<ArrayWriter> writer = root->open_writer("x");
  EXPECT_EQ(writer->unit_rows(), 6);
  const auto bytes = std::as_bytes(std::span(values_));
  EXPECT_THROW(writer->write_rows(2, bytes.first(8)), Error);
  writer->write_rows(6, bytes.first(16));
  EXPECT_EQ(read_range<std::int32_t>(*open(), {6, 10}), (std::vector<std::int32_t>{1, 2, 3, 4}));
}

TEST_F(ZarrShards, MoreShardsThanAreRemembered) {
  ArraySpec spec;
  spec.dtype = DType::int32;
  spec.shape = {200};
  spec.chunk_shape = {1};
  spec.shard_shape = {4};
  std::vector<std::int32_t> values(200);
  std::iota(values.begin(), values.end(), 0);
  open_zarr(store_, OpenMode::update)
      ->create_array("y", spec)
      ->write_rows(0, std::as_bytes(std::span(values)));
  const std::unique_ptr<Array> array = open_zarr(store_)->array("y");
  for (int round = 0; round < 2; ++round) {
    for (std::int64_t i = 0; i < 200; ++i) {
      const std::int64_t at = i * 37 % 200;
      ASSERT_EQ(read_range<std::int32_t>(*array, {at, at + 1})[0], at);
    }
  }
}

/// A store that counts what is read and opened.
class CountingStore final : public ByteStore {
 public:
  struct Counts {
    int opened = 0;
    int reads = 0;
    std::int64_t bytes = 0;
  };
  CountingStore(fs::path root, Counts& counts) : files_(std::move(root)), counts_(&counts) {}
  [[nodiscard]] std::string place(const std::string& key) const override {
    return files_.place(key);
  }
  [[nodiscard]] bool exists(const std::string& key) const override { return files_.exists(key); }
  [[nodiscard]] std::int64_t size(const std::string& key) const override {
    return files_.size(key);
  }
  [[nodiscard]] bool read_into(const std::string& key, std::int64_t most,
                               Bytes& out) const override {
    return files_.read_into(key, most, out);
  }
  [[nodiscard]] std::unique_ptr<ByteSource> open(const std::string& key) const override {
    ++counts_->opened;
    return std::make_unique<CountingSource>(files_.open(key), *counts_);
  }
  [[nodiscard]] std::vector<std::string> folders(const std::string& key) const override {
    return files_.folders(key);
  }

 private:
  class CountingSource final : public ByteSource {
   public:
    CountingSource(std::unique_ptr<ByteSource> file, Counts& counts)
        : file_(std::move(file)), counts_(&counts) {}
    [[nodiscard]] std::int64_t size() const override { return file_->size(); }
    void read(std::int64_t offset, std::span<std::byte> out) const override {
      ++counts_->reads;
      counts_->bytes += static_cast<std::int64_t>(out.size());
      file_->read(offset, out);
    }

   private:
    std::unique_ptr<ByteSource> file_;
    Counts* counts_;
  };
  LocalStore files_;
  Counts* counts_;
};

TEST_F(ZarrShards, IndicesAreReadOnceInnerChunksByThemselves) {
  ArraySpec spec;
  spec.dtype = DType::int32;
  spec.shape = {8000};
  spec.chunk_shape = {2};
  spec.shard_shape = {80};  // 100 shards of 40 chunks of 8 bytes
  spec.codec = "none";
  std::vector<std::int32_t> values(8000);
  std::iota(values.begin(), values.end(), 0);
  open_zarr(store_, OpenMode::update)
      ->create_array("y", spec)
      ->write_rows(0, std::as_bytes(std::span(values)));
  CountingStore::Counts counts;
  const ZarrArray array(std::make_shared<CountingStore>(store_, counts), "y", "y",
                        spec_metadata(spec, StoreFormat::zarr3));
  const auto read_all_strided = [&] {
    for (std::int64_t i = 0; i < 4000; ++i) {
      const std::int64_t chunk = i * 41 % 4000;  // another shard each time
      ASSERT_EQ(array.fetch(chunk).bytes.size(), 8U);
    }
  };
  read_all_strided();
  EXPECT_EQ(counts.bytes, 100 * (40 * 16 + 4) + 4000 * 8);
  counts = {};
  read_all_strided();
  EXPECT_EQ(counts.bytes, 4000 * 8);
  counts = {};
  for (std::int64_t chunk = 0; chunk < 4000; ++chunk) (void)array.fetch(chunk);
  EXPECT_LE(counts.opened, 100);
}

TEST_F(ZarrShards, InnerChunksThatLieTogetherAreReadTogether) {
  ArraySpec spec;
  spec.dtype = DType::int32;
  spec.shape = {800};
  spec.chunk_shape = {2};
  spec.shard_shape = {80};
  spec.codec = "none";
  std::vector<std::int32_t> values(800);
  std::iota(values.begin(), values.end(), 0);
  open_zarr(store_, OpenMode::update)
      ->create_array("y", spec)
      ->write_rows(0, std::as_bytes(std::span(values)));
  CountingStore::Counts counts;
  const ZarrArray array(std::make_shared<CountingStore>(store_, counts), "y", "y",
                        spec_metadata(spec, StoreFormat::zarr3));
  (void)read_range<std::int32_t>(array, {0, 800});  // all indices are known
  counts = {};
  FetchedRange fetched;
  for (const Range range : {Range{0, 800}, Range{79, 241}, Range{5, 6}, Range{1, 799}}) {
    const std::byte* const room = fetched.room.data();
    fetch_range(array, range, fetched);
    EXPECT_TRUE(room == nullptr || fetched.room.data() == room) << "the room was used again";
    std::vector<std::int32_t> found(static_cast<std::size_t>(range.size()));
    decode_range<std::int32_t>(array, fetched, found);
    EXPECT_EQ(found,
              std::vector<std::int32_t>(values.begin() + range.begin, values.begin() + range.end));
  }
  EXPECT_EQ(counts.reads, 10 + 4 + 1 + 10);
  EXPECT_EQ(counts.bytes, 3200 + 82 * 8 + 8 + 3200);
}

TEST(Recent, ForgetsWhatWasUsedLongestAgo) {
  Recent<int> recent(10);
  for (int i = 0; i < 3; ++i) recent.add(i, std::make_shared<int>(i), 4);
  EXPECT_FALSE(recent.find(0).has_value());
  EXPECT_EQ(**recent.find(1), 1);
  recent.add(3, nullptr, 4);
  EXPECT_FALSE(recent.find(2).has_value());
  EXPECT_TRUE(recent.find(1).has_value());
  EXPECT_EQ(recent.find(3).value(), nullptr);
  recent.add(4, std::make_shared<int>(4), 100);
  EXPECT_FALSE(recent.find(3).has_value());
  EXPECT_EQ(**recent.find(4), 4);
  recent.add(4, std::make_shared<int>(5), 1);
  EXPECT_EQ(**recent.find(4), 4);
}

TEST_F(ZarrShards, ZarrV2HasNone) {
  ArraySpec spec;
  spec.shape = {4};
  spec.chunk_shape = {2};
  spec.shard_shape = {4};
  const std::unique_ptr<Group> root =
      open_zarr(folder_.path() / "v2.zarr", OpenMode::create, StoreFormat::zarr2);
  EXPECT_THROW((void)root->create_array("x", spec), Error);
}

}  // namespace
}  // namespace cellmill
