#include "train/matrix_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "made_rows.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t n_cols = 80;

/// Rows of counts up to 200; from row 150 on up to 60,000, from 240 on not whole.
CsrChunk rows_of(Range rows) {
  CsrChunk made = made_rows(rows, n_cols, 0.3, 200);
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const auto begin =
        static_cast<std::size_t>(made.indptr[static_cast<std::size_t>(row - rows.begin)]);
    const auto end =
        static_cast<std::size_t>(made.indptr[static_cast<std::size_t>(row - rows.begin) + 1]);
    for (std::size_t k = begin; k < end; ++k) {
      if (row >= 150) made.values[k] *= 300;
      if (row >= 240) made.values[k] += 0.5F;
    }
  }
  return made;
}

class Store {
 public:
  Store(StoreCodec codec, std::int64_t chunk_elements, std::int64_t shard_chunks)
      : layout_{codec, chunk_elements, shard_chunks, DType::uint16} {}

  /// Begins an empty store.
  void begin(std::int64_t n_rows) {
    fs::remove_all(path());
    root_ = open_zarr(path(), OpenMode::create);
    (void)create_csr_matrix(*root_, "X", n_rows, n_cols);
  }
  /// Writes rows [first, n_rows), some at a time, after what `done` says; `on_shard` may throw.
  void write(
      std::int64_t first, std::int64_t n_rows, std::int64_t at_once, const StoreProgress& done,
      const std::function<void(const StoreProgress&)>& on_shard,
      const std::function<void()>& check = [] {}) {
    root_ = open_zarr(path(), OpenMode::update);
    MatrixWriter writer(*root_, path(), layout_, arena_, done, on_shard);
    EXPECT_EQ(writer.next_row(), done.rows);
    writer.verify([] {});
    NarrowRows narrow;
    for (; first < n_rows; first += at_once) {
      const Range some{first, std::min(first + at_once, n_rows)};
      narrow_rows(rows_of(some), layout_.index_dtype, writer.value_dtype(), narrow);
      writer.append(first, narrow);
    }
    writer.finish(check);
    writer.remove_notes();
    nonzeros_ = writer.nonzeros();
  }
  void expect_rows(std::int64_t n_rows) const {
    const CsrChunk expected = rows_of({0, n_rows});
    const auto root = open_zarr(path());
    const auto x = open_matrix(*root, "X");
    CsrChunk found;
    x->decode(x->fetch({0, n_rows}), found);
    EXPECT_EQ(found.indptr, expected.indptr);
    EXPECT_EQ(found.indices, expected.indices);
    EXPECT_EQ(found.values, expected.values);
    EXPECT_EQ(nonzeros_, expected.nnz());
    EXPECT_THAT(root->group("X")->keys(), ::testing::ElementsAre("data", "indices", "indptr"));
    EXPECT_FALSE(fs::exists(path() / ".row-lengths"));
  }
  [[nodiscard]] DType value_dtype() const {
    return open_zarr(path())->group("X")->array("data")->info().dtype;
  }
  [[nodiscard]] fs::path path() const { return folder_.path() / "s.zarr"; }

 private:
  TempFolder folder_;
  StoreLayout layout_;
  Arena arena_{2};
  std::unique_ptr<Group> root_;
  std::int64_t nonzeros_ = 0;
};

const auto nobody = [](const StoreProgress&) {};

class MatrixWriterTest : public ::testing::TestWithParam<StoreCodec> {};

TEST_P(MatrixWriterTest, RowsComeBackWhateverChunksCutThem) {
  for (const std::int64_t chunk_elements : {1, 7, 64, 1000, 100'000}) {
    for (const std::int64_t at_once : {1, 13, 400}) {
      if (chunk_elements == 1 && at_once == 1) continue;  // a file for every few numbers
      Store store(GetParam(), chunk_elements, 5);
      const std::int64_t n_rows = chunk_elements == 1 ? 20 : 100;
      store.begin(n_rows);
      store.write(0, n_rows, at_once, {}, nobody);
      store.expect_rows(n_rows);
      EXPECT_EQ(store.value_dtype(), DType::uint8);
    }
  }
}

TEST_P(MatrixWriterTest, WhatIsWrittenIsWidenedWhenALargerValueComes) {
  for (const std::int64_t n_rows : {150, 200, 300}) {
    Store store(GetParam(), 100, 4);
    store.begin(n_rows);
    std::vector<DType> types;
    store.write(0, n_rows, 17, {}, [&](const StoreProgress& done) {
      if (types.empty() || types.back() != done.value_dtype) types.push_back(done.value_dtype);
    });
    store.expect_rows(n_rows);
    const std::vector<DType> all = {DType::uint8, DType::uint16, DType::float32};
    const std::size_t met = n_rows == 150 ? 1 : n_rows == 200 ? 2 : 3;
    EXPECT_EQ(types,
              std::vector<DType>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(met)));
    EXPECT_EQ(store.value_dtype(), all[met - 1]);
  }
}

TEST_P(MatrixWriterTest, AnInterruptedRunGoesOnFromAnyOfItsShards) {
  constexpr std::int64_t n_rows = 300;
  struct Interrupted {};
  for (std::size_t after = 1;; ++after) {
    Store store(GetParam(), 90, 6);
    store.begin(n_rows);
    std::vector<StoreProgress> seen;
    bool interrupted = false;
    try {
      store.write(0, n_rows, 31, {}, [&](const StoreProgress& done) {
        seen.push_back(done);
        if (seen.size() == after) throw Interrupted{};
      });
    } catch (const Interrupted&) {
      interrupted = true;
    }
    if (!interrupted) {
      EXPECT_GT(after, 5U);
      return;
    }
    // Another run reads the rows in other portions; a row may be cut by the border.
    const StoreProgress done = seen.back();
    store.write(std::max<std::int64_t>(done.rows - 5, 0), n_rows, 23, done, nobody);
    store.expect_rows(n_rows);
  }
}

INSTANTIATE_TEST_SUITE_P(Codecs, MatrixWriterTest,
                         ::testing::Values(StoreCodec::portable, StoreCodec::fast),
                         [](const auto& info) { return store_codec_name(info.param); });

TEST(MatrixWriter, RowsWithoutAnyValue) {
  Store store(StoreCodec::portable, 1, 1);
  store.begin(0);
  store.write(0, 0, 10, {}, nobody);
  const auto root = open_zarr(store.path());
  EXPECT_EQ(open_matrix(*root, "X")->n_rows(), 0);

  const TempFolder folder;
  const auto empty = open_zarr(folder.path() / "e.zarr", OpenMode::create);
  (void)create_csr_matrix(*empty, "X", 3, n_cols);
  Arena arena(1);
  MatrixWriter writer(*empty, folder.path() / "e.zarr", {}, arena, {}, nobody);
  NarrowRows none;
  none.indptr = {0, 0, 0, 0};
  writer.append(0, none);
  writer.finish([] {});
  const auto x = open_matrix(*empty, "X");
  EXPECT_EQ(x->n_rows(), 3);
  EXPECT_EQ(x->nnz(), 0);
}

TEST_P(MatrixWriterTest, ARunThatEndsWhileItFinishesGoesOn) {
  constexpr std::int64_t n_rows = 300;
  struct Interrupted {};
  Store store(GetParam(), 90, 6);
  store.begin(n_rows);
  StoreProgress done;
  EXPECT_THROW(store.write(
                   0, n_rows, 31, {}, [&](const StoreProgress& now) { done = now; },
                   [] { throw Interrupted{}; }),
               Interrupted);
  EXPECT_TRUE(fs::exists(store.path() / "X" / "data" / "zarr.json"));
  store.write(std::min(done.rows, n_rows), n_rows, 10, done, nobody);
  store.expect_rows(n_rows);
}

TEST(MatrixWriter, LengthsThatAreLostEndAResume) {
  Store store(StoreCodec::portable, 90, 2);
  store.begin(100);
  StoreProgress last;
  struct Interrupted {};
  EXPECT_THROW(store.write(0, 100, 31, {},
                           [&](const StoreProgress& done) {
                             last = done;
                             throw Interrupted{};
                           }),
               Interrupted);
  ASSERT_GT(last.rows, 0);
  fs::resize_file(store.path() / ".row-lengths", 3);
  EXPECT_THROW(store.write(last.rows, 100, 31, last, nobody), Error);
}

}  // namespace
}  // namespace cellmill
