#include "train/row_buckets.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "cellmill/core/error.hpp"
#include "made_rows.hpp"
#include "temp_folder.hpp"
#include "train/keyed_permutation.hpp"

namespace cellmill {
namespace {

constexpr std::int32_t n_cols = 1000;

/// Row `row` of some rows as columns and values.
using Row = std::vector<std::pair<std::int32_t, float>>;

Row row_of(const CsrChunk& rows, std::size_t row) {
  Row found;
  for (auto k = static_cast<std::size_t>(rows.indptr[row]);
       k < static_cast<std::size_t>(rows.indptr[row + 1]); ++k) {
    found.emplace_back(rows.indices[k], rows.values[k]);
  }
  return found;
}

Row row_of(const NarrowRows& rows, std::size_t row) {
  const auto begin = static_cast<std::size_t>(rows.indptr[row]);
  const auto count = static_cast<std::size_t>(rows.indptr[row + 1]) - begin;
  const std::size_t width = dtype_size(rows.value_dtype);
  std::vector<float> values(count);
  const auto bytes = std::span(rows.values).subspan(begin * width, count * width);
  widen_values(bytes, rows.value_dtype, DType::float32, std::as_writable_bytes(std::span(values)));
  Row found;
  for (std::size_t k = 0; k < count; ++k) {
    std::uint16_t column = 0;
    std::memcpy(&column, rows.indices.data() + (begin + k) * sizeof column, sizeof column);
    found.emplace_back(column, values[k]);
  }
  return found;
}

TEST(RowBuckets, EveryRowComesOutAtItsPlace) {
  constexpr std::int64_t n_rows = 1500;
  const TempFolder folder;
  for (const std::int64_t bucket_rows : {1, 40, 1499, 1500}) {
    RowBuckets buckets(n_rows, bucket_rows, std::make_shared<ScratchFile>(folder.path()));
    const KeyedPermutation shuffle(n_rows, 3, 1);
    for (std::int64_t first = 0; first < n_rows; first += 350) {
      const Range rows{first, std::min(first + 350, n_rows)};
      std::vector<std::int64_t> places;
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        places.push_back(
            static_cast<std::int64_t>(shuffle.place_of(static_cast<std::uint64_t>(row))));
      }
      CsrChunk made = made_rows(rows, n_cols, 0.1, 90);
      if (first > 0 && made.nnz() > 0) made.values[0] = 1000;  // types differ between pieces
      buckets.put(buckets.deal(made, places));
    }
    buckets.flush();
    std::int64_t seen = 0;
    for (std::int64_t bucket = 0; bucket < buckets.count(); ++bucket) {
      NarrowRows out;
      const RawVector<std::byte> bytes = buckets.fetch(bucket);
      EXPECT_EQ(static_cast<std::int64_t>(bytes.size()), buckets.packed_bytes(bucket));
      buckets.unpack(bucket, bytes, n_cols, DType::uint16, DType::uint8, out);
      const Range places = buckets.places(bucket);
      ASSERT_EQ(out.n_rows(), places.size());
      for (std::int64_t place = places.begin; place < places.end; ++place) {
        const auto row = static_cast<std::int64_t>(shuffle.at(static_cast<std::uint64_t>(place)));
        Row expected = row_of(made_rows({row, row + 1}, n_cols, 0.1, 90), 0);
        if (row >= 350 && row % 350 == 0 && !expected.empty()) expected.front().second = 1000;
        const Row found = row_of(out, static_cast<std::size_t>(place - places.begin));
        EXPECT_EQ(found, expected) << row << " at " << place;
        ++seen;
      }
    }
    EXPECT_EQ(seen, n_rows);
  }
}

TEST(RowBuckets, BucketsAndTheirBuffersFitTheMemory) {
  constexpr double row_bytes = 14'000;
  for (const std::int64_t memory : {std::int64_t{64} << 20, std::int64_t{8} << 30}) {
    for (const std::int64_t n_rows :
         {std::int64_t{1}, std::int64_t{80'000}, std::int64_t{100'000'000}}) {
      const std::int64_t rows = RowBuckets::bucket_rows(n_rows, row_bytes, memory);
      ASSERT_GE(rows, 1);
      const std::int64_t count = (n_rows + rows - 1) / rows;
      EXPECT_LE(count * RowBuckets::buffer_bytes(), memory / 4 + RowBuckets::buffer_bytes());
    }
  }
  // 1.4 TB in 8 GB: a bucket is a small part of the memory.
  const std::int64_t rows = RowBuckets::bucket_rows(100'000'000, row_bytes, std::int64_t{8} << 30);
  EXPECT_LT(static_cast<double>(rows) * row_bytes, 64e6);
  // 1.1 GB in 64 MB likewise.
  const std::int64_t few = RowBuckets::bucket_rows(80'000, row_bytes, std::int64_t{64} << 20);
  EXPECT_LT(static_cast<double>(few) * row_bytes, 8e6);
}

TEST(RowBuckets, DamagedBytesAreAnError) {
  const TempFolder folder;
  RowBuckets buckets(10, 10, std::make_shared<ScratchFile>(folder.path()));
  buckets.put(buckets.deal(made_rows({0, 10}, n_cols, 0.1, 9),
                           std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  buckets.flush();
  const RawVector<std::byte> bytes = buckets.fetch(0);
  NarrowRows out;
  for (const std::size_t cut : {std::size_t{1}, bytes.size() / 2, bytes.size() - 10}) {
    EXPECT_THROW(buckets.unpack(0, std::span(bytes).first(bytes.size() - cut), n_cols,
                                DType::uint16, DType::uint8, out),
                 Error);
  }
  RawVector<std::byte> place = bytes;
  place[24] = std::byte{200};  // the first row's place
  EXPECT_THROW(buckets.unpack(0, place, n_cols, DType::uint16, DType::uint8, out), Error);
}

}  // namespace
}  // namespace cellmill
