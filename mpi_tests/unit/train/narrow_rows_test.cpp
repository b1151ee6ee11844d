#include "train/narrow_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

namespace cellmill {
namespace {

constexpr float largest_uint32 = 4294967040.0F;  // the largest float32 below 2^32

DType narrowest(std::vector<float> values) { return narrowest_dtype(values); }

TEST(NarrowRows, TheSmallestTypeThatHoldsAllValuesExactly) {
  EXPECT_EQ(narrowest({}), DType::uint8);
  EXPECT_EQ(narrowest({0, 255}), DType::uint8);
  EXPECT_EQ(narrowest({-0.0F}), DType::uint8);
  EXPECT_EQ(narrowest({1, 256}), DType::uint16);
  EXPECT_EQ(narrowest({65535}), DType::uint16);
  EXPECT_EQ(narrowest({65536}), DType::uint32);
  EXPECT_EQ(narrowest({16777216}), DType::uint32);
  EXPECT_EQ(narrowest({2147483648.0F}), DType::uint32);
  EXPECT_EQ(narrowest({largest_uint32, 1}), DType::uint32);
  EXPECT_EQ(narrowest({4294967296.0F}), DType::float32);
  EXPECT_EQ(narrowest({-1}), DType::float32);
  EXPECT_EQ(narrowest({0.5F}), DType::float32);
  EXPECT_EQ(narrowest({largest_uint32, 0.5F}), DType::float32);
  EXPECT_EQ(narrowest({std::numeric_limits<float>::quiet_NaN()}), DType::float32);
  EXPECT_EQ(narrowest({std::numeric_limits<float>::infinity()}), DType::float32);
  // Wherever it stands in a vector.
  for (std::size_t at = 0; at < 70; ++at) {
    std::vector<float> values(70, 3.0F);
    values[at] = 256;
    EXPECT_EQ(narrowest(values), DType::uint16) << at;
    values[at] = -2;
    EXPECT_EQ(narrowest(values), DType::float32) << at;
  }
}

/// As floats again.
std::vector<float> read(const NarrowRows& rows) {
  const std::size_t width = dtype_size(rows.value_dtype);
  std::vector<float> values(rows.values.size() / width);
  if (rows.value_dtype == DType::float32) {
    std::memcpy(values.data(), rows.values.data(), rows.values.size());
  } else {
    widen_values(rows.values, rows.value_dtype, DType::float32,
                 std::as_writable_bytes(std::span(values)));
  }
  return values;
}

CsrChunk one_row(std::vector<float> values, std::int32_t n_cols) {
  CsrChunk rows;
  rows.n_cols = n_cols;
  rows.indptr = {0, static_cast<std::int64_t>(values.size())};
  for (std::size_t i = 0; i < values.size(); ++i) {
    rows.indices.push_back(static_cast<std::int32_t>(i));
  }
  rows.values.assign(values.begin(), values.end());
  return rows;
}

TEST(NarrowRows, ALargeCountLateInTheRowsWidensAllOfThem) {
  for (const float large : {200.0F, 300.0F, 70'000.0F, largest_uint32, 0.25F}) {
    std::vector<float> values(50'000);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i % 7 + 1);
    values[values.size() - 3] = large;
    NarrowRows out;
    narrow_rows(one_row(values, 65'536), DType::uint16, DType::uint8, out);
    EXPECT_EQ(out.value_dtype, narrowest_dtype(values));
    EXPECT_EQ(read(out), values) << large;
    ASSERT_EQ(out.indices.size(), values.size() * sizeof(std::uint16_t));
    std::uint16_t last = 0;
    std::memcpy(&last, out.indices.data() + out.indices.size() - sizeof last, sizeof last);
    EXPECT_EQ(last, values.size() - 1);
  }
}

TEST(NarrowRows, AtLeastTheTypeAskedFor) {
  NarrowRows out;
  narrow_rows(one_row({1, 2, 3}, 70'000), DType::int32, DType::uint32, out);
  EXPECT_EQ(out.value_dtype, DType::uint32);
  EXPECT_EQ(out.index_dtype, DType::int32);
  EXPECT_EQ(out.indices.size(), 12U);
  EXPECT_EQ(read(out), (std::vector<float>{1, 2, 3}));
  narrow_rows(
      CsrChunk{.first_row = 0, .n_cols = 3, .indptr = {0, 0, 0}, .indices = {}, .values = {}},
      DType::uint16, DType::uint8, out);
  EXPECT_EQ(out.n_rows(), 2);
  EXPECT_TRUE(out.values.empty());
}

TEST(NarrowRows, WideningIsExact) {
  const std::vector<std::uint32_t> counts = {0, 1, 255, 256, 65535, 65536, 16777216, 4294967040U};
  std::vector<float> floats(counts.size());
  widen_values(std::as_bytes(std::span(counts)), DType::uint32, DType::float32,
               std::as_writable_bytes(std::span(floats)));
  for (std::size_t i = 0; i < counts.size(); ++i) {
    EXPECT_EQ(static_cast<double>(floats[i]), static_cast<double>(counts[i]));
  }
  const std::vector<std::uint8_t> bytes = {0, 7, 255};
  std::vector<std::uint16_t> wide(3);
  widen_values(std::as_bytes(std::span(bytes)), DType::uint8, DType::uint16,
               std::as_writable_bytes(std::span(wide)));
  EXPECT_THAT(wide, ::testing::ElementsAre(0, 7, 255));
  EXPECT_EQ(wider(DType::uint16, DType::uint8), DType::uint16);
  EXPECT_EQ(wider(DType::uint32, DType::float32), DType::float32);
  EXPECT_EQ(wider(DType::float32, DType::uint8), DType::float32);
}

}  // namespace
}  // namespace cellmill
