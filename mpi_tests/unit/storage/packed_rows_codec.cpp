#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/storage/array.hpp"
#include "storage/dtype_visit.hpp"
#include "storage/packed_rows_pack.hpp"
#include "storage/packed_rows_unpack.hpp"

namespace cellmill {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::int64_t> one_row(std::size_t n) { return {static_cast<std::int64_t>(n)}; }

/// Rows of made-up columns: strictly rising, gaps of a mean and now and then a very long one.
struct Rows {
  std::vector<std::int32_t> columns;
  std::vector<float> counts;
  std::vector<std::int64_t> ends;
};

Rows made_up(std::uint64_t seed, std::size_t n_rows, double length, double gap) {
  const CounterRng rng(seed, 0);
  std::uint64_t draw = 0;
  const auto exponential = [&](double mean) { return -mean * std::log1p(-rng.uniform(draw++)); };
  Rows rows;
  for (std::size_t r = 0; r < n_rows; ++r) {
    const auto n = static_cast<std::int64_t>(r % 7 == 3 ? 0.0 : exponential(length));
    std::int64_t column = -1;
    for (std::int64_t i = 0; i < n; ++i) {
      const double mean = rng.uniform(draw++) < 0.002 ? 300 * gap : gap;
      column += 1 + static_cast<std::int64_t>(exponential(mean));
      rows.columns.push_back(static_cast<std::int32_t>(column));
      const double u = rng.uniform(draw++);
      rows.counts.push_back(static_cast<float>(std::floor(1.0 / (1e-7 + std::pow(1 - u, 1.5)))));
    }
    rows.ends.push_back(static_cast<std::int64_t>(rows.columns.size()));
  }
  return rows;
}

PackedPlace place(const PackedChunk& chunk, Range part) {
  PackedPlace found{chunk, part};
  find_part(found);
  return found;
}

class PackedRowsCodec : public testing::TestWithParam<CpuLevel> {
 protected:
  void SetUp() override {
    if (!cpu_has(GetParam()))
      GTEST_SKIP() << "this processor has no " << cpu_level_name(GetParam());
    kernels = &packed_kernels(GetParam());
  }

  template <class T>
  Bytes pack(PackedKind kind, const std::vector<T>& values, const std::vector<std::int64_t>& ends) {
    return pack_chunk(kind, dtype_of<T>(), bytes_of(values), 0, ends, *kernels);
  }

  template <class T>
  std::vector<T> unpack(const Bytes& packed, std::size_t n) {
    std::vector<T> out(n);
    unpack_part(place(PackedChunk(packed), {0, static_cast<std::int64_t>(n)}), dtype_of<T>(),
                std::as_writable_bytes(std::span(out)), {kernels});
    return out;
  }

  template <class T>
  void expect_round_trip(PackedKind kind, const std::vector<T>& values,
                         const std::vector<std::int64_t>& ends, PackedKind becomes) {
    const Bytes packed = pack(kind, values, ends);
    const PackedChunk chunk(packed);
    EXPECT_EQ(chunk.kind(), becomes);
    EXPECT_EQ(chunk.element_width(), sizeof(T));
    chunk.check_table();
    const std::vector<T> found = unpack<T>(packed, values.size());
    EXPECT_EQ(std::memcmp(found.data(), values.data(), values.size() * sizeof(T)), 0);
  }
  template <class T>
  void expect_round_trip(PackedKind kind, const std::vector<T>& values,
                         const std::vector<std::int64_t>& ends) {
    expect_round_trip(kind, values, ends, kind);
  }

  /// Every row alone, as `To`, with bytes behind it that must stay.
  template <class To, class T>
  void expect_rows_as(const Bytes& packed, const std::vector<T>& values,
                      const std::vector<std::int64_t>& ends) {
    const PackedChunk chunk(packed);
    std::int64_t begin = 0;
    for (const std::int64_t end : ends) {
      const auto n = static_cast<std::size_t>(end - begin);
      constexpr To mark = 77;
      std::vector<To> out(n + PackedRows::slack + 1, mark);
      unpack_part<To>(place(chunk, {begin, end}), dtype_of<T>(), std::span(out).first(n),
                      {kernels});
      for (std::size_t i = 0; i < n; ++i) {
        ASSERT_EQ(out[i], static_cast<To>(values[static_cast<std::size_t>(begin) + i])) << i;
      }
      for (std::size_t i = n; i < out.size(); ++i) ASSERT_EQ(out[i], mark) << i;
      begin = end;
    }
  }

  const PackedKernels* kernels = nullptr;
};

TEST_P(PackedRowsCodec, MadeUpRowsComeBackInEveryType) {
  for (const double gap : {0.3, 3.0, 36.0, 800.0}) {
    const Rows rows = made_up(static_cast<std::uint64_t>(10 * gap), 60, 700, gap);
    expect_round_trip(PackedKind::indices, rows.columns, rows.ends);
    expect_round_trip(PackedKind::counts, rows.counts, rows.ends);
    const Bytes columns = pack(PackedKind::indices, rows.columns, rows.ends);
    expect_rows_as<std::int32_t>(columns, rows.columns, rows.ends);
    expect_rows_as<float>(columns, rows.columns, rows.ends);
    const Bytes counts = pack(PackedKind::counts, rows.counts, rows.ends);
    expect_rows_as<std::int32_t>(counts, rows.counts, rows.ends);
    expect_rows_as<float>(counts, rows.counts, rows.ends);
    const auto others = [&]<class T>() {
      std::vector<T> values(rows.counts.size());
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] = static_cast<T>(std::min(rows.counts[i], sizeof(T) == 1 ? 127.0F : 3e4F));
      }
      expect_round_trip(PackedKind::counts, values, rows.ends);
      const Bytes packed = pack(PackedKind::counts, values, rows.ends);
      expect_rows_as<std::int32_t>(packed, values, rows.ends);
      expect_rows_as<float>(packed, values, rows.ends);
    };
    for (const DType dtype : {DType::int8, DType::uint8, DType::int16, DType::uint16, DType::int32,
                              DType::uint32, DType::int64, DType::uint64, DType::float64}) {
      visit_dtype(dtype, others);
    }
    std::vector<std::int64_t> wide(rows.columns.begin(), rows.columns.end());
    expect_round_trip(PackedKind::indices, wide, rows.ends);
  }
}

TEST_P(PackedRowsCodec, EveryLevelMakesTheBytesOfThePlainOne) {
  const Rows rows = made_up(5, 200, 400, 40.0);
  const auto plain = [&](PackedKind kind, auto& values) {
    return pack_chunk(kind, dtype_of<std::decay_t<decltype(values[0])>>(), bytes_of(values), 0,
                      rows.ends, packed_plain);
  };
  EXPECT_EQ(pack(PackedKind::indices, rows.columns, rows.ends),
            plain(PackedKind::indices, rows.columns));
  EXPECT_EQ(pack(PackedKind::counts, rows.counts, rows.ends),
            plain(PackedKind::counts, rows.counts));
}

TEST_P(PackedRowsCodec, RowsOfEveryLengthEndWhereTheyEnd) {
  std::vector<std::int32_t> columns;
  std::vector<float> counts;
  std::vector<std::int64_t> ends;
  for (std::int32_t n = 0; n <= 200; ++n) {
    for (std::int32_t i = 0; i < n; ++i) {
      columns.push_back(3 * i + i * i / 50);
      counts.push_back(static_cast<float>(1 + (i * n) % 5));
    }
    ends.push_back(static_cast<std::int64_t>(columns.size()));
  }
  expect_rows_as<std::int32_t>(pack(PackedKind::indices, columns, ends), columns, ends);
  expect_rows_as<float>(pack(PackedKind::counts, counts, ends), counts, ends);
}

TEST_P(PackedRowsCodec, LongGapsAndTheLastColumnComeBack) {
  constexpr std::int32_t last = std::numeric_limits<std::int32_t>::max();
  const std::vector<std::int32_t> columns = {
      0,      1,      255,       256,      511,  512,    767, 62'709, 65'535,     65'536,  65'791,
      65'792, 70'000, 9'000'000, last - 1, last, 62'709, 0,   last,   last - 256, last - 1};
  expect_round_trip(PackedKind::indices, columns, {16, 17, 19, 21});
  for (std::size_t i = 0; i < columns.size(); ++i) {
    expect_round_trip(PackedKind::indices, std::vector<std::int32_t>{columns[i]}, one_row(1),
                      PackedKind::raw);
  }
  // One gap of every size around what the streams hold, among many short ones.
  for (const std::int32_t gap :
       {1, 64, 254, 255, 256, 257, 16'319, 16'320, 16'383, 16'384, 65'536, 1 << 24, 1 << 30}) {
    for (const std::size_t at : {0, 1, 63, 64, 65, 299}) {
      std::vector<std::int32_t> row(300);
      std::int32_t column = -1;
      for (std::size_t i = 0; i < row.size(); ++i) row[i] = column += i == at ? gap : 1 + (i % 3);
      expect_round_trip(PackedKind::indices, row, one_row(row.size()));
    }
  }
}

TEST_P(PackedRowsCodec, LargeCountsComeBack) {
  for (const std::uint32_t large : {0U, 254U, 255U, 256U, 65'535U, 65'536U, 1U << 24, 1U << 31,
                                    std::numeric_limits<std::uint32_t>::max()}) {
    for (const std::size_t at : {0, 1, 63, 64, 130, 199}) {
      std::vector<std::uint32_t> counts(200);
      for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = 1 + i % 3;
      counts[at] = large;
      expect_round_trip(PackedKind::counts, counts, one_row(counts.size()));
      const std::vector<float> floats(counts.begin(), counts.end());
      // 2^32 − 1 is no float32; what is nearest to it is too large.
      const bool fits = large < std::numeric_limits<std::uint32_t>::max();
      expect_round_trip(PackedKind::counts, floats, one_row(floats.size()),
                        fits ? PackedKind::counts : PackedKind::raw);
      const std::vector<double> doubles(counts.begin(), counts.end());
      expect_round_trip(PackedKind::counts, doubles, one_row(doubles.size()));
    }
  }
  // Nothing but large ones, and all the same.
  std::vector<std::uint32_t> counts(500);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = static_cast<std::uint32_t>(1'000'000 + 7919 * i % 5003);
  }
  expect_round_trip(PackedKind::counts, counts, {100, 499, 500});
  expect_round_trip(PackedKind::counts, std::vector<float>(700, 4e9F), one_row(700));
}

TEST_P(PackedRowsCodec, ValuesThatAreNoCountsAreKeptAsTheyAre) {
  const auto raw = [&](std::vector<float> values) {
    values.resize(100, 1.0F);
    expect_round_trip(PackedKind::counts, values, {10, 60, 100}, PackedKind::raw);
    const Bytes packed = pack(PackedKind::counts, values, {10, 60, 100});
    std::vector<float> out(50);
    unpack_part<float>(place(PackedChunk(packed), {10, 60}), DType::float32, out, {kernels});
    EXPECT_EQ(std::memcmp(out.data(), values.data() + 10, 200), 0);
  };
  raw({0.5F});
  raw({-1.0F});
  raw({1, 2, -0.0F});
  raw({std::numeric_limits<float>::quiet_NaN()});
  raw({std::numeric_limits<float>::infinity()});
  raw({4294967296.0F});
  expect_round_trip(PackedKind::counts, std::vector<std::int64_t>{1, 2, -1, 3}, {4},
                    PackedKind::raw);
  expect_round_trip(PackedKind::counts, std::vector<std::int64_t>{1, 1LL << 32, 3, 3}, {4},
                    PackedKind::raw);
}

TEST_P(PackedRowsCodec, ColumnsThatDoNotRiseAreKeptAsTheyAre) {
  std::vector<std::int32_t> columns(100);
  std::iota(columns.begin(), columns.end(), 0);
  expect_round_trip(PackedKind::indices, columns, {50, 100});
  columns[70] = columns[69];
  expect_round_trip(PackedKind::indices, columns, {50, 100}, PackedKind::raw);
  columns[70] = 5;
  expect_round_trip(PackedKind::indices, columns, {50, 70, 100});
  columns[0] = -1;
  expect_round_trip(PackedKind::indices, columns, {50, 70, 100}, PackedKind::raw);
}

TEST_P(PackedRowsCodec, PartsBeginAndEndAnywhere) {
  const Rows rows = made_up(9, 40, 300, 20.0);
  const auto n = static_cast<std::int64_t>(rows.columns.size());
  const Bytes columns = pack(PackedKind::indices, rows.columns, rows.ends);
  const Bytes counts = pack(PackedKind::counts, rows.counts, rows.ends);
  for (const Range part : {Range{0, n}, Range{0, 1}, Range{n - 1, n}, Range{n / 3, n / 3},
                           Range{17, n - 17}, Range{rows.ends[5] - 1, rows.ends[6] + 1}}) {
    const auto size = static_cast<std::size_t>(part.size());
    std::vector<std::int32_t> ints(size);
    unpack_part<std::int32_t>(place(PackedChunk(columns), part), DType::int32, ints, {kernels});
    EXPECT_TRUE(std::equal(ints.begin(), ints.end(), rows.columns.begin() + part.begin));
    std::vector<float> floats(size);
    unpack_part<float>(place(PackedChunk(counts), part), DType::float32, floats, {kernels});
    EXPECT_TRUE(std::equal(floats.begin(), floats.end(), rows.counts.begin() + part.begin));
  }
}

TEST_P(PackedRowsCodec, RowsAreCutByTheBordersOfTheirChunk) {
  const Rows rows = made_up(21, 50, 200, 30.0);
  const auto n = static_cast<std::int64_t>(rows.columns.size());
  for (const std::int64_t length : {1, 7, 100, 1000}) {
    for (std::int64_t first = 0; first < std::min<std::int64_t>(n, 20 * length); first += length) {
      const std::int64_t end = std::min(n, first + length);
      const std::vector<std::int32_t> piece(rows.columns.begin() + first,
                                            rows.columns.begin() + end);
      const Bytes packed = pack_chunk(PackedKind::indices, DType::int32, bytes_of(piece), first,
                                      rows.ends, *kernels);
      EXPECT_EQ(unpack<std::int32_t>(packed, piece.size()), piece);
      std::vector<std::int64_t> inside;
      for (const std::int64_t row : rows.ends) {
        if (row > first && row < end && (inside.empty() || inside.back() != row - first)) {
          inside.push_back(row - first);
        }
      }
      EXPECT_EQ(PackedChunk(packed).fragments(), static_cast<std::int64_t>(inside.size()) + 1);
    }
  }
}

/// Rows one behind the other past the caches, from anywhere in a line, some by way of a buffer.
TEST_P(PackedRowsCodec, ElementsThatGoPastTheCachesLandInTheirPlace) {
  const Rows rows = made_up(15, 80, 120, 30.0);
  const Bytes columns = pack(PackedKind::indices, rows.columns, rows.ends);
  const Bytes counts = pack(PackedKind::counts, rows.counts, rows.ends);
  const auto all = static_cast<std::size_t>(rows.ends.back());
  for (std::size_t shift = 0; shift < 17; ++shift) {
    std::vector<std::int32_t> ints(all + 64, -7);
    std::vector<float> floats(all + 64, -7.0F);
    PackedCarry int_carry;
    PackedCarry float_carry;
    std::int64_t begin = 0;
    for (const std::int64_t end : rows.ends) {
      // Rows in two parts now and then: a fragment that is cut goes by way of a buffer.
      const std::int64_t cut = end % 5 == 0 ? (begin + end) / 2 : end;
      for (const Range part : {Range{begin, cut}, Range{cut, end}}) {
        const auto n = static_cast<std::size_t>(part.size());
        const std::size_t at = shift + static_cast<std::size_t>(part.begin);
        unpack_part<std::int32_t>(place(PackedChunk(columns), part), DType::int32,
                                  std::span(ints).subspan(at, n), {kernels, &int_carry});
        unpack_part<float>(place(PackedChunk(counts), part), DType::float32,
                           std::span(floats).subspan(at, n), {kernels, &float_carry});
      }
      begin = end;
    }
    kernels->flush(int_carry);
    kernels->flush(float_carry);
    const auto expect_place = [&](const auto& found, const auto& values) {
      for (std::size_t i = 0; i < found.size(); ++i) {
        const bool inside = i >= shift && i < shift + all;
        ASSERT_EQ(found[i], inside ? values[i - shift] : -7) << i << ' ' << shift;
      }
    };
    expect_place(ints, rows.columns);
    expect_place(floats, rows.counts);
  }
}

TEST_P(PackedRowsCodec, NothingIsAChunkToo) {
  const std::vector<float> none;
  for (const auto& ends : {std::vector<std::int64_t>{}, std::vector<std::int64_t>{0, 0, 0}}) {
    const Bytes packed = pack(PackedKind::counts, none, ends);
    const PackedChunk chunk(packed);
    chunk.check_table();
    EXPECT_EQ(chunk.elements(), 0);
    EXPECT_EQ(unpack<float>(packed, 3), std::vector<float>(3, 0.0F));
  }
}

TEST_P(PackedRowsCodec, RowsThatDoNotCoverTheElementsAreRefused) {
  const std::vector<float> values(10, 1.0F);
  EXPECT_THROW((void)pack(PackedKind::counts, values, {3, 9}), Error);
  EXPECT_THROW((void)pack(PackedKind::counts, values, {}), Error);
  EXPECT_THROW((void)pack(PackedKind::counts, values, {3, 2, 10}), Error);
  EXPECT_THROW((void)pack_chunk(PackedKind::counts, DType::string, {}, 0, {}), Error);
}

/// Every byte of a chunk changed, and every shorter chunk: an error, or as many elements as asked.
TEST_P(PackedRowsCodec, DamagedChunksNeverLeadOutside) {
  const Rows rows = made_up(33, 6, 60, 500.0);
  const auto n = static_cast<std::int64_t>(rows.columns.size());
  std::vector<std::uint32_t> counts(rows.counts.begin(), rows.counts.end());
  counts[5] = 3'000'000'000;
  std::int64_t refused = 0;
  const auto look = [&](const Bytes& damaged) {
    // A copy of just this size, so that the sanitizer sees reads beyond.
    const std::vector<std::byte> bytes(damaged.begin(), damaged.end());
    try {
      const PackedChunk chunk(bytes);
      if (chunk.elements() > 2 * n) return;
      std::vector<std::byte> out(static_cast<std::size_t>(n) * 4);
      std::vector<std::int32_t> ints(static_cast<std::size_t>(n));
      std::vector<float> floats(static_cast<std::size_t>(n));
      unpack_part<std::int32_t>(place(chunk, {0, n}), DType::int32, ints, {kernels});
      unpack_part<float>(place(chunk, {0, n}), DType::int32, floats, {kernels});
      unpack_part(place(chunk, {1, n}), DType::int32, out, {kernels});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::input);
      ++refused;
    }
  };
  for (const Bytes& sound :
       {pack(PackedKind::indices, rows.columns, rows.ends),
        pack(PackedKind::counts, counts, rows.ends), pack(PackedKind::raw, counts, rows.ends)}) {
    for (std::size_t i = 0; i < sound.size(); ++i) {
      for (const int change : {1, 0x10, 0x80, 0xFF}) {
        Bytes damaged = sound;
        damaged[i] ^= static_cast<std::byte>(change);
        look(damaged);
      }
      look(Bytes(sound.begin(), sound.begin() + static_cast<std::ptrdiff_t>(i)));
    }
  }
  EXPECT_GT(refused, 100);
}

/// What one level refuses, all refuse; what they take gives the same elements.
TEST_P(PackedRowsCodec, DamagedChunksMeanTheSameToEveryLevel) {
  const Rows rows = made_up(34, 4, 100, 40.0);
  const auto n = static_cast<std::int64_t>(rows.columns.size());
  const Bytes sound = pack(PackedKind::indices, rows.columns, rows.ends);
  const auto read = [&](const Bytes& bytes, const PackedKernels& with) {
    std::vector<std::int32_t> out(static_cast<std::size_t>(n));
    try {
      unpack_part<std::int32_t>(place(PackedChunk(bytes), {0, n}), DType::int32, out, {&with});
    } catch (const Error&) {
      out.clear();
    }
    return out;
  };
  const CounterRng rng(3, 0);
  for (std::uint64_t draw = 0; draw < 4000; draw += 2) {
    Bytes damaged = sound;
    damaged[rng.below(draw, damaged.size())] ^=
        static_cast<std::byte>(1 + rng.below(draw + 1, 255));
    ASSERT_EQ(read(damaged, *kernels), read(damaged, packed_plain)) << draw;
  }
}

INSTANTIATE_TEST_SUITE_P(Cpu, PackedRowsCodec,
                         testing::Values(CpuLevel::plain, CpuLevel::avx2, CpuLevel::avx512),
                         [](const auto& info) { return cpu_level_name(info.param); });

}  // namespace
}  // namespace cellmill
