#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "anndata/cached_vector.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

/// The numbers 0, 1, 2, … in chunks of 10, counting what is decoded.
class CountingArray final : public Array {
 public:
  CountingArray(std::int64_t size, int* decoded) : decoded_(decoded) {
    info_.location = "counting";
    info_.dtype = DType::int32;
    info_.shape = {size};
    info_.chunk_shape = {10};
  }
  [[nodiscard]] const ArrayInfo& info() const override { return info_; }
  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    EncodedChunk encoded;
    encoded.chunk = chunk;
    return encoded;
  }
  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t /*chunk*/) const override { return 0; }
  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    ++*decoded_;
    for (std::int32_t i = 0; i < 10; ++i) {
      const auto value = static_cast<std::int32_t>(encoded.chunk) * 10 + i;
      std::memcpy(out.data() + i * 4, &value, 4);
    }
  }
  [[nodiscard]] Strings read_strings(Range /*range*/) const override { return {}; }

 private:
  ArrayInfo info_;
  int* decoded_;
};

std::vector<std::int64_t> counting(std::int64_t first, std::int64_t end) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = first; i < end; ++i) values.push_back(i);
  return values;
}

TEST(CachedVector, DecodesEachChunkOnceWhereRowsAreReadInOrder) {
  int decoded = 0;
  const CachedVector vector(std::make_unique<CountingArray>(100, &decoded), 1000);
  for (std::int64_t row = 0; row < 100; row += 2) {
    EXPECT_EQ(vector.read<std::int64_t>({row, row + 2}), counting(row, row + 2));
  }
  EXPECT_EQ(decoded, 10);
}

TEST(CachedVector, ReadsRowsAnywhere) {
  int decoded = 0;
  const CachedVector vector(std::make_unique<CountingArray>(95, &decoded), 1000);
  for (const Range rows : {Range{3, 27}, Range{90, 95}, Range{0, 1}, Range{8, 12}, Range{5, 5},
                           Range{0, 95}, Range{94, 95}}) {
    EXPECT_EQ(vector.read<std::int64_t>(rows), counting(rows.begin, rows.end));
  }
  EXPECT_THROW((void)vector.read<std::int64_t>({90, 96}), Error);
  EXPECT_THROW((void)vector.read<std::int64_t>({-1, 3}), Error);
  EXPECT_THROW((void)vector.read<std::int64_t>({4, 3}), Error);
}

TEST(CachedVector, KeepsNoMoreThanItMay) {
  int decoded = 0;
  const CachedVector vector(std::make_unique<CountingArray>(100, &decoded), 79);
  EXPECT_EQ(vector.read<std::int64_t>({0, 2}), counting(0, 2));
  EXPECT_EQ(vector.read<std::int64_t>({0, 20}), counting(0, 20));  // 80 bytes, read past the cache
  EXPECT_EQ(vector.read<std::int64_t>({2, 4}), counting(2, 4));
  EXPECT_EQ(decoded, 3);
}

TEST(CachedVector, GivesItsMemoryUpAfterTheLastRow) {
  int decoded = 0;
  const CachedVector vector(std::make_unique<CountingArray>(100, &decoded), 1000);
  EXPECT_EQ(vector.read<std::int64_t>({98, 100}), counting(98, 100));
  EXPECT_EQ(vector.read<std::int64_t>({98, 99}), counting(98, 99));
  EXPECT_EQ(decoded, 2);
}

}  // namespace
}  // namespace cellmill
