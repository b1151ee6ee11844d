#include "cellmill/stream/blob_store.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

RawVector<std::byte> blob(std::size_t size, int fill) {
  return RawVector<std::byte>(size, std::byte(fill));
}

TEST(BlobStore, FillsMemoryThenTheFile) {
  MemoryBudget budget(1000);
  auto scratch = std::make_shared<ScratchFile>(std::filesystem::temp_directory_path());
  BlobStore store(3, scratch, BlobStore::WhenFull::fail, budget, 150);
  store.put(0, blob(100, 1));
  store.put(2, blob(100, 2));
  EXPECT_EQ(budget.reserved(), 100);
  EXPECT_EQ(scratch->bytes(), 100);
  EXPECT_TRUE(store.has(0));
  EXPECT_FALSE(store.has(1));
  RawVector<std::byte> found;
  store.get(0, found);
  EXPECT_EQ(found, blob(100, 1));
  store.get(2, found);
  EXPECT_EQ(found, blob(100, 2));
  EXPECT_EQ(store.size(2), 100);
  store.clear();
  EXPECT_EQ(budget.reserved(), 0);
}

TEST(BlobStore, DropsWithoutAnywhereToPut) {
  MemoryBudget budget(1000);
  BlobStore store(1, nullptr, BlobStore::WhenFull::drop, budget, 0);
  EXPECT_FALSE(store.keeps());
  store.put(0, blob(10, 1));
  EXPECT_FALSE(store.has(0));
  EXPECT_EQ(store.size(0), 0);
}

}  // namespace
}  // namespace cellmill
