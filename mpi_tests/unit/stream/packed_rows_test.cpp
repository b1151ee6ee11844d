#include "cellmill/stream/packed_rows.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/stream/transforms.hpp"

namespace cellmill {
namespace {

CsrChunk chunk_of(std::int32_t n_cols,
                  const std::vector<std::vector<std::pair<std::int32_t, float>>>& rows) {
  CsrChunk chunk;
  chunk.first_row = 4000;
  chunk.n_cols = n_cols;
  chunk.indptr = {0};
  for (const auto& row : rows) {
    for (const auto& [column, value] : row) {
      chunk.indices.push_back(column);
      chunk.values.push_back(value);
    }
    chunk.indptr.push_back(static_cast<std::int64_t>(chunk.indices.size()));
  }
  return chunk;
}

void expect_equal(const CsrChunk& a, const CsrChunk& b) {
  EXPECT_EQ(a.first_row, b.first_row);
  EXPECT_EQ(a.n_cols, b.n_cols);
  EXPECT_EQ(a.indptr, b.indptr);
  EXPECT_EQ(a.indices, b.indices);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    if (std::isnan(a.values[i])) {
      EXPECT_TRUE(std::isnan(b.values[i]));
    } else {
      EXPECT_EQ(a.values[i], b.values[i]);
    }
  }
}

/// A matrix with far and near columns, empty rows, values of every kind.
CsrChunk mixed() {
  const CounterRng rng(1, 2);
  std::vector<std::vector<std::pair<std::int32_t, float>>> rows(300);
  std::uint64_t draw = 0;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    if (r % 7 == 3) continue;
    std::int32_t column = -1;
    for (;;) {
      column += 1 + static_cast<std::int32_t>(std::pow(rng.uniform(draw++), 6) * 3000);
      if (column >= 70000) break;
      const double kind = rng.uniform(draw++);
      const auto count = static_cast<float>(1 + rng.below(draw++, 20));
      rows[r].emplace_back(column, kind < 0.9    ? count
                                   : kind < 0.95 ? 0.25F
                                   : kind < 0.97 ? -3.0F
                                                 : 70000.0F);
    }
  }
  return chunk_of(70000, rows);
}

TEST(PackedRows, ComeBackAsTheyWere) {
  for (const CsrChunk& chunk :
       {chunk_of(5, {}), chunk_of(5, {{}}), chunk_of(1, {{{0, 1.0F}}}),
        chunk_of(5, {{}, {{4, 2.0F}}, {}}),
        chunk_of(600, {{{0, 15.0F}, {255, 16.0F}, {256, 14.0F}, {511, 0.0F}, {599, -0.0F}}}),
        mixed()}) {
    CsrChunk out;
    unpack_rows(pack_rows(chunk), chunk.n_cols, out);
    expect_equal(chunk, out);
  }
}

TEST(PackedRows, KeepAnyFloat) {
  const float inf = std::numeric_limits<float>::infinity();
  const CsrChunk chunk = chunk_of(8, {{{0, inf},
                                       {1, -inf},
                                       {2, std::nanf("")},
                                       {3, 1e-40F},
                                       {4, 1e38F},
                                       {5, 15.5F},
                                       {6, 16777216.0F},
                                       {7, 1}}});
  CsrChunk out;
  unpack_rows(pack_rows(chunk), 8, out);
  expect_equal(chunk, out);
}

TEST(PackedRows, SelectionEqualsUnpackingThenSelecting) {
  const CsrChunk chunk = mixed();
  const CounterRng rng(3, 4);
  for (const bool rising : {true, false}) {
    std::vector<std::int32_t> slot(70000, -1);
    std::int32_t n = 0;
    for (std::size_t g = 0; g < slot.size(); ++g) {
      if (rng.uniform(g) < 0.1) slot[g] = n++;
    }
    if (!rising) {
      for (std::int32_t& s : slot) s = s < 0 ? -1 : n - 1 - s;
    }
    CsrChunk fast;
    unpack_rows(pack_rows(chunk), slot, n, fast);
    CsrChunk slow = chunk;
    select_columns(slow, slot, n);
    expect_equal(slow, fast);
    for (std::int64_t row = 0; row < fast.n_rows(); ++row) {
      for (std::int64_t k = fast.indptr[row] + 1; k < fast.indptr[row + 1]; ++k) {
        EXPECT_LT(fast.indices[k - 1], fast.indices[k]);
      }
    }
  }
}

TEST(PackedRows, TakeLessThanTwoBytesACount) {
  std::vector<std::vector<std::pair<std::int32_t, float>>> rows(1);
  for (std::int32_t g = 0; g < 10000; ++g)
    rows[0].emplace_back(g * 6, static_cast<float>(1 + g % 3));
  EXPECT_LT(pack_rows(chunk_of(62000, rows)).size(), 16000U);
}

TEST(PackedRows, DamageIsNoticed) {
  const CsrChunk chunk = mixed();
  const RawVector<std::byte> packed = pack_rows(chunk);
  CsrChunk out;
  for (std::size_t cut : {std::size_t{0}, std::size_t{10}, packed.size() / 2, packed.size() - 1}) {
    EXPECT_THROW(unpack_rows(std::span(packed).first(cut), chunk.n_cols, out), Error) << cut;
  }
  for (std::size_t at = 0; at < 48; ++at) {  // every byte of the header but the first row's
    if (at >= 40) continue;
    RawVector<std::byte> flipped = packed;
    flipped[at] ^= std::byte{0x40};
    EXPECT_THROW(unpack_rows(flipped, chunk.n_cols, out), Error) << at;
  }
  EXPECT_THROW(unpack_rows(packed, 100, out), Error);  // columns beyond the matrix
  const std::vector<std::int32_t> few(100, 0);
  EXPECT_THROW(unpack_rows(packed, few, 1, out), Error);
}

TEST(Transforms, SelectRowsKeepsOrder) {
  CsrChunk chunk = chunk_of(9, {{{0, 1.0F}}, {{1, 2.0F}, {2, 3.0F}}, {}, {{8, 4.0F}}});
  select_rows(chunk, {false, true, true, true});
  expect_equal(chunk, chunk_of(9, {{{1, 2.0F}, {2, 3.0F}}, {}, {{8, 4.0F}}}));
  select_rows(chunk, {false, false, false});
  EXPECT_EQ(chunk.n_rows(), 0);
  EXPECT_EQ(chunk.nnz(), 0);
}

}  // namespace
}  // namespace cellmill
