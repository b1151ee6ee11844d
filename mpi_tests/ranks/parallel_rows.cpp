#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/parallel_hdf5.hpp"
#include "rank_world.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t rows = 1003;
constexpr std::int64_t columns = 7;

/// A folder that rank 0 makes and all ranks know.
class SharedFolder {
 public:
  SharedFolder() {
    std::array<char, 512> name{};
    if (rank_world().rank() == 0) {
      folder_ = std::make_unique<TempFolder>();
      folder_->path().string().copy(name.data(), name.size() - 1);
    }
    rank_world().broadcast(std::as_writable_bytes(std::span(name)), 0);
    path_ = name.data();
  }
  [[nodiscard]] fs::path operator/(const char* name) const { return path_ / name; }

 private:
  std::unique_ptr<TempFolder> folder_;
  fs::path path_;
};

void wait_for_all() {
  double nothing = 0;
  rank_world().all_reduce_max({&nothing, 1});
}

/// What rank 0 makes alone: strings, and arrays without data.
void create(const fs::path& path) {
  if (rank_world().rank() == 0) {
    const auto root = open_hdf5(path, OpenMode::create);
    Strings names;
    for (std::int64_t i = 0; i < rows; ++i) names.push_back("cell" + std::to_string(i));
    write_string_array(*root, "obs/_index", names);
    ArraySpec spec;
    spec.codec = "none";
    spec.shape = {rows, columns};
    (void)root->create_array("obsm/X_pca", spec);
    spec.dtype = DType::int64;
    spec.shape = {rows};
    (void)root->create_array("obs/n", spec);
  }
  wait_for_all();
}

Range my_rows() { return even_part(rows, rank_world().size(), rank_world().rank()); }

template <class T>
std::vector<T> counting(std::int64_t first, std::int64_t count) {
  std::vector<T> values(static_cast<std::size_t>(count));
  std::iota(values.begin(), values.end(), static_cast<T>(first));
  return values;
}

TEST(ParallelRows, EveryRankWritesItsOwnRows) {
  const SharedFolder folder;
  const fs::path path = folder / "out.h5ad";
  create(path);
  const Range mine = my_rows();
  {
    const auto out = open_parallel_rows(path);
    // The last rows first, in two blocks: there is no order.
    const std::int64_t middle = mine.begin + mine.size() / 3;
    for (const Range part : {Range{middle, mine.end}, Range{mine.begin, middle}}) {
      const auto values = counting<float>(part.begin * columns, part.size() * columns);
      out->write("obsm/X_pca", part.begin, std::as_bytes(std::span(values)));
    }
    const auto numbers = counting<std::int64_t>(mine.begin, mine.size());
    out->write("obs/n", mine.begin, std::as_bytes(std::span(numbers)));
    out->close();
  }
  wait_for_all();
  const auto root = open_hdf5(path);
  EXPECT_EQ(read_all<float>(*root->array("obsm/X_pca")), counting<float>(0, rows * columns));
  EXPECT_EQ(read_all<std::int64_t>(*root->array("obs/n")), counting<std::int64_t>(0, rows));
  EXPECT_EQ(root->array("obs/_index")->read_strings({rows - 1, rows})[0], "cell1002");
  wait_for_all();
}

TEST(ParallelRows, OneRankMayWriteAlone) {
  const SharedFolder folder;
  const fs::path path = folder / "out.h5ad";
  create(path);
  const auto out = open_parallel_rows(path);
  if (rank_world().rank() == rank_world().size() - 1) {
    const auto numbers = counting<std::int64_t>(0, rows);
    out->write("obs/n", 0, std::as_bytes(std::span(numbers)));
  }
  out->close();
  EXPECT_EQ(read_all<std::int64_t>(*open_hdf5(path)->array("obs/n")),
            counting<std::int64_t>(0, rows));
  wait_for_all();
}

TEST(ParallelRows, AFailedRankIsToldToAll) {
  const SharedFolder folder;
  const fs::path path = folder / "out.h5ad";
  create(path);
  const auto out = open_parallel_rows(path);
  const std::vector<std::int64_t> numbers(4);
  if (rank_world().rank() == 0) {
    EXPECT_THROW(out->write("obs/n", rows - 3, std::as_bytes(std::span(numbers))), Error);
    EXPECT_THROW(out->write("obs/n", 0, std::as_bytes(std::span(numbers)).first(5)), Error);
    EXPECT_THROW(out->write("obs/none", 0, std::as_bytes(std::span(numbers))), Error);
    EXPECT_THROW(out->write("obs/_index", 0, std::as_bytes(std::span(numbers))), Error);
  }
  EXPECT_THROW(out->close(), Error);
}

TEST(ParallelRows, FilesThatCantBeOpenedAreErrorsEverywhere) {
  const SharedFolder folder;
  EXPECT_THROW((void)open_parallel_rows(folder / "none.h5ad"), Error);
}

TEST(ParallelRows, LeftOpenItClosesItself) {
  const SharedFolder folder;
  const fs::path path = folder / "out.h5ad";
  create(path);
  (void)open_parallel_rows(path);
  wait_for_all();
  EXPECT_EQ(open_hdf5(path)->kind("obsm/X_pca"), NodeKind::array);
  wait_for_all();
}

}  // namespace
}  // namespace cellmill
