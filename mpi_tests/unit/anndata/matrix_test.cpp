#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class Body>
std::string message_of(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Numbers as elements of a type.
std::vector<std::byte> elements(DType dtype, const std::vector<std::int64_t>& values) {
  std::vector<std::byte> bytes(values.size() * dtype_size(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::byte* to = bytes.data() + i * dtype_size(dtype);
    if (dtype == DType::float32) {
      const auto value = static_cast<float>(values[i]);
      std::memcpy(to, &value, sizeof(value));
    } else if (dtype == DType::float64) {
      const auto value = static_cast<double>(values[i]);
      std::memcpy(to, &value, sizeof(value));
    } else {
      std::memcpy(to, &values[i], dtype_size(dtype));  // little-endian, as this machine
    }
  }
  return bytes;
}

struct Csr {
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> indptr;
  std::vector<std::int64_t> indices;
  std::vector<std::int64_t> data;
};

struct Types {
  DType data = DType::float32;
  DType indices = DType::int32;
  DType indptr = DType::int64;
};

class CsrMatrixTest : public testing::Test {
 protected:
  std::unique_ptr<MatrixSource> write(const Csr& matrix, Types types = {}, std::int64_t chunk = 4,
                                      const std::string& codec = "gzip") {
    path_ = folder_.path() / ("m" + std::to_string(++next_));
    {
      const auto root = open_hdf5(path_, OpenMode::create);
      const auto x = create_csr_matrix(*root, "X", matrix.shape[0], matrix.shape[1]);
      const auto add = [&](const char* name, DType dtype, const std::vector<std::int64_t>& values) {
        ArraySpec spec;
        spec.dtype = dtype;
        spec.shape = {static_cast<std::int64_t>(values.size())};
        spec.chunk_shape = {chunk};
        spec.codec = codec;
        x->create_array(name, spec)->write_rows(0, elements(dtype, values));
      };
      add("data", types.data, matrix.data);
      add("indices", types.indices, matrix.indices);
      add("indptr", types.indptr, matrix.indptr);
    }
    return open_matrix(*open_store(path_), "X");
  }

  static CsrChunk read(const MatrixSource& source, Range rows) {
    CsrChunk chunk;
    source.decode(source.fetch(rows), chunk);
    return chunk;
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  TempFolder folder_;
  std::filesystem::path path_;
  int next_ = 0;
};

const Csr small = {{4, 5}, {0, 2, 2, 5, 7}, {0, 3, 1, 2, 4, 0, 4}, {1, 2, 3, 4, 5, 6, 7}};

TEST_F(CsrMatrixTest, RowsOfEveryTypeComeBack) {
  for (const DType data : {DType::float32, DType::float64, DType::int8, DType::uint16, DType::int32,
                           DType::int64, DType::uint64}) {
    for (const DType indices :
         {DType::int32, DType::uint8, DType::int64, DType::uint16, DType::uint32, DType::uint64}) {
      for (const DType indptr : {DType::int64, DType::int32, DType::uint32}) {
        const auto source = write(small, {data, indices, indptr});
        EXPECT_EQ(source->dtype(), data);
        EXPECT_EQ(source->nnz(), 7);
        const CsrChunk chunk = read(*source, {0, 4});
        EXPECT_THAT(chunk.indptr, ElementsAre(0, 2, 2, 5, 7));
        EXPECT_THAT(chunk.indices, ElementsAre(0, 3, 1, 2, 4, 0, 4));
        EXPECT_THAT(chunk.values, ElementsAre(1, 2, 3, 4, 5, 6, 7));
      }
    }
  }
}

TEST_F(CsrMatrixTest, StoredRowsComeAsTheyAreWithAllTheirBits) {
  const Csr odd = {{2, 5}, {0, 3, 4}, {4, 1, 4, 0}, {16777217, 2, 3, 9007199254740991}};
  const auto source = write(odd, {DType::int64});
  CsrRows<double> rows;
  source->decode_stored(source->fetch({0, 2}), rows);
  EXPECT_THAT(rows.indptr, ElementsAre(0, 3, 4));
  EXPECT_THAT(rows.indices, ElementsAre(4, 1, 4, 0));
  EXPECT_THAT(rows.values, ElementsAre(16777217, 2, 3, 9007199254740991));
  EXPECT_THAT(source->columns({0, 1}), ElementsAre(4, 1, 4));
  EXPECT_THAT(source->columns({1, 2}), ElementsAre(0));
}

TEST_F(CsrMatrixTest, StoredRowsRefuseWhatTheyCannotHold) {
  const auto message = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CsrRows<double> rows;
  for (const std::int64_t value : {9007199254740992, -9007199254740993}) {
    const auto large = write({{1, 5}, {0, 1}, {4}, {value}}, {DType::int64});
    EXPECT_THAT(message([&] {
                  large->decode_stored(large->fetch({0, 1}), rows);
                }),
                HasSubstr("X/data: a value of about"));
  }
  const auto outside = write({{2, 5}, {0, 1, 2}, {4, 5}, {1, 1}});
  EXPECT_THAT(message([&] {
                outside->decode_stored(outside->fetch({0, 2}), rows);
              }),
              HasSubstr("X/indices: row 1: column 5 found, expected 0 to 4"));
  EXPECT_THAT(message([&] {
                (void)outside->columns({1, 2});
              }),
              HasSubstr("row 1: column 5 found, expected 0 to 4"));
}

TEST_F(CsrMatrixTest, SomeRowsComeBackCountedFromNought) {
  const auto source = write(small);
  CsrChunk chunk = read(*source, {1, 3});
  EXPECT_EQ(chunk.first_row, 1);
  EXPECT_EQ(chunk.n_cols, 5);
  EXPECT_THAT(chunk.indptr, ElementsAre(0, 0, 3));
  EXPECT_THAT(chunk.indices, ElementsAre(1, 2, 4));
  EXPECT_THAT(chunk.values, ElementsAre(3, 4, 5));
  // Buffers are used again, whatever they held.
  source->decode(source->fetch({3, 4}), chunk);
  EXPECT_THAT(chunk.indices, ElementsAre(0, 4));
  source->decode(source->fetch({2, 2}), chunk);
  EXPECT_EQ(chunk.n_rows(), 0);
  EXPECT_EQ(chunk.nnz(), 0);
}

TEST_F(CsrMatrixTest, OffsetsAreReadForTheRowsAskedFor) {
  const auto source = write(small);
  EXPECT_THAT(source->indptr({0, 4}), ElementsAre(0, 2, 2, 5, 7));
  EXPECT_THAT(source->indptr({3, 4}), ElementsAre(5, 7));
  EXPECT_THAT(source->indptr({4, 4}), ElementsAre(7));
  EXPECT_THROW((void)source->indptr({0, 5}), Error);
  EXPECT_THROW((void)source->indptr({-1, 2}), Error);
  EXPECT_THROW((void)source->fetch({3, 2}), Error);
}

TEST_F(CsrMatrixTest, CostIsWhatFetchAndDecodeTake) {
  const auto source = write(small);
  const MatrixSource::Cost cost = source->cost({0, 4}, 7);
  EXPECT_EQ(cost.encoded, source->fetch({0, 4}).encoded_bytes());
  EXPECT_EQ(cost.decoded, 7 * 8 + 5 * 8);
  EXPECT_EQ(source->cost({1, 1}, 0).encoded, 0);
}

TEST_F(CsrMatrixTest, MatricesWithoutRowsColumnsOrValuesAreFine) {
  const auto no_rows = write({{0, 5}, {0}, {}, {}});
  EXPECT_EQ(read(*no_rows, {0, 0}).n_rows(), 0);
  const auto no_values = write({{3, 0}, {0, 0, 0, 0}, {}, {}});
  EXPECT_EQ(no_values->n_cols(), 0);
  EXPECT_THAT(read(*no_values, {0, 3}).indptr, ElementsAre(0, 0, 0, 0));
}

TEST_F(CsrMatrixTest, UnsortedAndRepeatedColumnsAreMended) {
  const auto source =
      write({{3, 5}, {0, 4, 6, 7}, {3, 1, 3, 1, 0, 4, 2}, {10, 20, 30, 40, 1, 2, 3}});
  const CsrChunk chunk = read(*source, {0, 3});
  EXPECT_THAT(chunk.indptr, ElementsAre(0, 2, 4, 5));
  EXPECT_THAT(chunk.indices, ElementsAre(1, 3, 0, 4, 2));
  EXPECT_THAT(chunk.values, ElementsAre(60, 40, 1, 2, 3));
}

TEST_F(CsrMatrixTest, RowsAreMendedWhereverChunksEnd) {
  // Rows of 7, 0 and 13 columns in chunks of 3: a fall in every place, also between two chunks.
  constexpr std::int64_t nnz = 20;
  for (std::int64_t fall = 1; fall < nnz; ++fall) {
    if (fall == 7) continue;  // there another row begins
    Csr matrix{{3, 50}, {0, 7, 7, nnz}, {}, {}};
    for (std::int64_t i = 0; i < nnz; ++i) {
      matrix.indices.push_back(i);
      matrix.data.push_back(i + 1);
    }
    Csr mended = matrix;
    const auto at = static_cast<std::size_t>(fall);
    std::swap(matrix.indices[at - 1], matrix.indices[at]);
    std::swap(mended.data[at - 1], mended.data[at]);
    for (const DType indices : {DType::int32, DType::int64}) {
      const CsrChunk chunk = read(*write(matrix, {DType::float32, indices}, 3), {0, 3});
      EXPECT_TRUE(std::equal(chunk.indices.begin(), chunk.indices.end(), mended.indices.begin(),
                             mended.indices.end()))
          << fall;
      EXPECT_TRUE(std::equal(chunk.values.begin(), chunk.values.end(), mended.data.begin(),
                             mended.data.end()))
          << fall;
    }
  }
}

TEST_F(CsrMatrixTest, BuffersAreUsedAgainForAnyRows) {
  const auto source = write(small, {}, 2);
  FetchedRows fetched;
  CsrChunk chunk;
  for (const Range rows : {Range{0, 4}, Range{1, 2}, Range{2, 2}, Range{0, 3}, Range{3, 4}}) {
    source->fetch(rows, fetched);
    source->decode(fetched, chunk);
    const CsrChunk fresh = read(*source, rows);
    EXPECT_EQ(chunk.first_row, fresh.first_row);
    EXPECT_EQ(chunk.indptr, fresh.indptr);
    EXPECT_EQ(chunk.indices, fresh.indices);
    EXPECT_EQ(chunk.values, fresh.values);
    EXPECT_GE(fetched.held_bytes(), fetched.encoded_bytes());
  }
}

TEST_F(CsrMatrixTest, ColumnsOutsideTheMatrixAreNamed) {
  Csr matrix = small;
  matrix.indices[3] = 5;
  for (const DType dtype : {DType::int32, DType::uint8, DType::int64}) {
    const auto source = write(matrix, {DType::float32, dtype, DType::int64});
    EXPECT_THAT(message_of([&] {
                  read(*source, {1, 4});
                }),
                HasSubstr("X/indices: row 2: column 5 found, expected 0 to 4"));
    EXPECT_EQ(read(*source, {0, 2}).nnz(), 2);
  }
  matrix.indices[3] = (std::int64_t{1} << 32) + 2;  // 2, if it were cut off
  EXPECT_THAT(message_of([&] {
                read(*write(matrix, {DType::float32, DType::int64}), {0, 4});
              }),
              HasSubstr("X/indices: row 2"));
}

TEST_F(CsrMatrixTest, OffsetsThatFallOrLeaveAreNamed) {
  Csr falling = small;
  falling.indptr = {0, 3, 2, 5, 7};
  EXPECT_THAT(message_of([&] {
                (void)write(falling)->fetch({0, 3});
              }),
              HasSubstr("X/indptr: row 2: offset 2 found, expected 3 to 7"));
  Csr leaving = small;
  leaving.indptr = {0, 2, 9, 5, 7};
  EXPECT_THAT(message_of([&] {
                (void)write(leaving)->fetch({0, 2});
              }),
              HasSubstr("X/indptr: row 2: offset 9 found"));
}

TEST_F(CsrMatrixTest, PartsThatDontFitTogetherAreRefused) {
  Csr matrix = small;
  matrix.shape[0] = 5;
  EXPECT_THAT(message_of([&] { (void)write(matrix); }),
              HasSubstr("X/indptr: 5 elements found, expected 6"));
  matrix = small;
  matrix.data.pop_back();
  EXPECT_THAT(message_of([&] { (void)write(matrix); }),
              HasSubstr("X/indices: 7 elements found, expected 6"));
  matrix = small;
  matrix.indptr.back() = 6;
  EXPECT_THAT(message_of([&] { (void)write(matrix); }),
              HasSubstr("X/indptr: 6 found at 4, expected 7"));
  matrix = small;
  matrix.indptr.front() = 1;
  EXPECT_THAT(message_of([&] { (void)write(matrix); }), HasSubstr("X/indptr: 1 found at 0"));
  EXPECT_THAT(message_of([&] {
                (void)write(small, {DType::float32, DType::float32});
              }),
              HasSubstr("X/indices: holds float32, expected integers"));
}

TEST_F(CsrMatrixTest, ShapesThatCannotBeAreRefused) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();  // found by fuzz_h5ad
  for (const auto& [rows, cols] : std::vector<std::pair<std::int64_t, std::int64_t>>{
           {most, 3}, {-1, 3}, {3, -1}, {3, std::int64_t{1} << 31}}) {
    (void)write(small);
    {
      const auto root = open_hdf5(path(), OpenMode::update);
      root->set_attributes("X", {{"shape", {rows, cols}}});
    }
    EXPECT_THAT(message_of([&] { (void)open_matrix(*open_store(path()), "X"); }),
                HasSubstr("X: shape " + std::to_string(rows) + " × " + std::to_string(cols) +
                          " found, expected at most 2^62 rows and 2^31 − 1 columns"));
  }
}

TEST_F(CsrMatrixTest, OtherEncodingsAreNamed) {
  const auto refused = [&](const char* encoding) {
    (void)write(small);
    {
      const auto root = open_hdf5(path(), OpenMode::update);
      root->set_attributes("X", {{"encoding-type", encoding}});
    }
    return message_of([&] { (void)open_matrix(*open_store(path()), "X"); });
  };
  EXPECT_THAT(refused("awkward-array"), HasSubstr("encoding-type 'awkward-array' found"));
  try {
    (void)open_matrix(*open_store(path()), "layers/counts");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::missing);
  }
}

TEST_F(CsrMatrixTest, ManyThreadsMayReadRowsThatShareChunks) {
  std::mt19937 random(1);
  Csr matrix{{500, 40}, {0}, {}, {}};
  for (int row = 0; row < 500; ++row) {
    for (int column = 0; column < 40; ++column) {
      if (random() % 3 != 0) continue;
      matrix.indices.push_back(column);
      matrix.data.push_back(static_cast<std::int64_t>(random() % 100));
    }
    matrix.indptr.push_back(static_cast<std::int64_t>(matrix.indices.size()));
  }
  for (const char* codec : {"gzip", "none"}) {
    const auto source = write(matrix, {}, 333, codec);
    std::vector<int> right(4, 0);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < right.size(); ++thread) {
      threads.emplace_back([&, thread] {
        CsrChunk chunk;
        for (std::int64_t first = static_cast<std::int64_t>(thread); first < 500; first += 4) {
          source->decode(source->fetch({first, first + 1}), chunk);
          const auto begin = matrix.indptr[static_cast<std::size_t>(first)];
          const auto end = matrix.indptr[static_cast<std::size_t>(first) + 1];
          const bool same =
              std::equal(chunk.indices.begin(), chunk.indices.end(), matrix.indices.begin() + begin,
                         matrix.indices.begin() + end) &&
              std::equal(chunk.values.begin(), chunk.values.end(), matrix.data.begin() + begin,
                         matrix.data.begin() + end);
          right[thread] += same ? 1 : 0;
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(right, testing::Each(125));
  }
}

TEST(CanonicalRow, RisesStrictlyInsideTheMatrix) {
  using Columns = std::vector<std::int32_t>;
  EXPECT_TRUE(is_canonical_row(Columns{}, 3));
  EXPECT_TRUE(is_canonical_row(Columns{0}, 1));
  EXPECT_TRUE(is_canonical_row(Columns{0, 1, 2}, 3));
  EXPECT_FALSE(is_canonical_row(Columns{0, 0}, 3));
  EXPECT_FALSE(is_canonical_row(Columns{1, 0}, 3));
  EXPECT_FALSE(is_canonical_row(Columns{-1, 0}, 3));
  EXPECT_FALSE(is_canonical_row(Columns{0, 3}, 3));
  for (std::size_t at = 1; at < 70; ++at) {  // every place of a vector and its rest
    Columns columns(70);
    for (std::size_t i = 0; i < columns.size(); ++i) columns[i] = static_cast<std::int32_t>(i);
    EXPECT_TRUE(is_canonical_row(columns, 70));
    columns[at] = columns[at - 1];
    EXPECT_FALSE(is_canonical_row(columns, 70)) << at;
  }
}

}  // namespace
}  // namespace cellmill
