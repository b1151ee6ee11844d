#include "cellmill/storage/chunk_cache.hpp"

#include <gtest/gtest.h>

#include <numeric>
#include <thread>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// 0, 1, 2, … in chunks of 10, the last of which is not full; and a second array, from 1000 on.
class ChunkCacheTest : public testing::Test {
 protected:
  ChunkCacheTest() {
    const auto root = open_hdf5(path_, OpenMode::create);
    for (const std::int32_t first : {0, 1000}) {
      std::vector<std::int32_t> values(95);
      std::iota(values.begin(), values.end(), first);
      ArraySpec spec;
      spec.dtype = DType::int32;
      spec.shape = {95};
      spec.chunk_shape = {10};
      spec.codec = "gzip";
      root->create_array(first == 0 ? "a" : "b", spec)
          ->write_rows(0, std::as_bytes(std::span(values)));
    }
  }

  static void expect_elements(ChunkCache& cache, const Array& array, Range range,
                              std::int32_t first = 0) {
    FetchedRange fetched;
    cache.fetch_range(array, range, fetched);
    std::vector<std::int32_t> found(static_cast<std::size_t>(range.size()));
    decode_range<std::int32_t>(array, fetched, found);
    std::vector<std::int32_t> expected(found.size());
    std::iota(expected.begin(), expected.end(), first + static_cast<std::int32_t>(range.begin));
    EXPECT_EQ(found, expected);
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_.path() / "a.h5";
};

TEST_F(ChunkCacheTest, WhatIsKeptIsNotReadAgain) {
  const auto root = open_store(path_);
  const auto array = root->array("a");
  ChunkCache cache(1 << 20);
  expect_elements(cache, *array, {5, 95});
  const std::int64_t once = cache.bytes_read();
  EXPECT_GT(once, 0);
  EXPECT_GE(cache.bytes_held(), once);
  for (const Range range :
       {Range{5, 95}, Range{0, 10}, Range{31, 32}, Range{90, 95}, Range{7, 7}}) {
    expect_elements(cache, *array, range);
  }
  EXPECT_EQ(cache.bytes_read(), once);
}

TEST_F(ChunkCacheTest, ArraysAreKeptApart) {
  const auto root = open_store(path_);
  const auto a = root->array("a");
  const auto b = root->array("b");
  ChunkCache cache(1 << 20);
  for (int round = 0; round < 2; ++round) {
    expect_elements(cache, *a, {0, 50});
    expect_elements(cache, *b, {0, 50}, 1000);
  }
}

TEST_F(ChunkCacheTest, RangesKeptInPartAreReadAsAWhole) {
  const auto root = open_store(path_);
  const auto array = root->array("a");
  ChunkCache cache(1 << 20);
  expect_elements(cache, *array, {20, 40});
  expect_elements(cache, *array, {15, 60});
  const std::int64_t before = cache.bytes_read();
  expect_elements(cache, *array, {10, 60});
  EXPECT_EQ(cache.bytes_read(), before);
}

TEST_F(ChunkCacheTest, WithoutRoomEverythingIsReadEachTime) {
  const auto root = open_store(path_);
  const auto array = root->array("a");
  ChunkCache cache;
  expect_elements(cache, *array, {0, 95});
  const std::int64_t once = cache.bytes_read();
  expect_elements(cache, *array, {0, 95});
  EXPECT_EQ(cache.bytes_read(), 2 * once);
  EXPECT_EQ(cache.bytes_held(), 0);
}

TEST_F(ChunkCacheTest, StopsKeepingWhenItIsFull) {
  const auto root = open_store(path_);
  const auto array = root->array("a");
  ChunkCache cache(1);
  expect_elements(cache, *array, {0, 10});
  const std::int64_t held = cache.bytes_held();
  EXPECT_GT(held, 0);
  expect_elements(cache, *array, {10, 20});
  EXPECT_EQ(cache.bytes_held(), held);
  const std::int64_t before = cache.bytes_read();
  expect_elements(cache, *array, {0, 10});
  EXPECT_EQ(cache.bytes_read(), before);
  expect_elements(cache, *array, {10, 20});
  EXPECT_GT(cache.bytes_read(), before);
}

TEST_F(ChunkCacheTest, ManyThreadsMayFetch) {
  const auto root = open_store(path_);
  const auto array = root->array("a");
  ChunkCache cache(1 << 20);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::int64_t i = 0; i < 80; ++i) {
        const std::int64_t begin = (i * 7 + t) % 80;
        expect_elements(cache, *array, {begin, begin + 15});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace cellmill
