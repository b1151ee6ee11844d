#include "analysis/row_output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <numeric>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/ranges.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// Writes 0 … n−1 (two columns) with rows shared out at `borders`, in appends of `step` rows, and
/// reads them back.
std::vector<float> written(const std::filesystem::path& store,
                           const std::vector<std::int64_t>& borders, std::int64_t chunk_rows,
                           std::int64_t step, const UnitTasks& tasks = {}) {
  const int ranks = static_cast<int>(borders.size()) - 1;
  const std::int64_t n = borders.back();
  std::filesystem::remove_all(store);
  const auto root = open_zarr(store, OpenMode::create);
  ArraySpec spec;
  spec.shape = {n, 2};
  spec.chunk_shape = {chunk_rows, 2};
  spec.codec = "none";
  root->create_array("x", spec);
  std::vector<Range> ranges;
  for (int r = 0; r < ranks; ++r) {
    ranges.push_back(
        {borders[static_cast<std::size_t>(r)], borders[static_cast<std::size_t>(r) + 1]});
  }
  run_as_threads(ranks, [&](Communicator& comm) {
    const auto mine = open_zarr(store, OpenMode::update);
    const auto output =
        make_unit_output(mine->open_writer("x"), 2 * sizeof(float), ranges, comm.rank(), tasks);
    const Range rows = ranges[static_cast<std::size_t>(comm.rank())];
    for (std::int64_t row = rows.begin; row < rows.end; row += step) {
      std::vector<float> values(
          static_cast<std::size_t>(2 * (std::min(row + step, rows.end) - row)));
      std::iota(values.begin(), values.end(), static_cast<float>(2 * row));
      output->append(std::as_bytes(std::span(values)));
    }
    output->exchange(comm);
    output->finish();
  });
  return read_all<float>(*open_zarr(store)->array("x"));
}

TEST(RowOutput, EveryRowArrivesWhoeverOwnsItsChunk) {
  const TempFolder folder;
  const std::vector<std::vector<std::int64_t>> splits = {
      {0, 100},         {0, 33, 66, 100},     {0, 10, 20, 100}, {0, 5, 6, 7, 100},
      {0, 0, 50, 100},  {0, 50, 100, 100},    {0, 1, 2, 3, 4},  {0, 0, 0, 1},
      {0, 95, 98, 100}, {0, 20, 40, 60, 100},
  };
  for (const auto& borders : splits) {
    for (const std::int64_t chunk : {1, 7, 20, 1000}) {
      for (const std::int64_t step : {1, 9, 1000}) {
        std::vector<float> expected(static_cast<std::size_t>(2 * borders.back()));
        std::iota(expected.begin(), expected.end(), 0.0F);
        EXPECT_EQ(written(folder.path() / "x.zarr", borders, chunk, step), expected)
            << borders.size() << " borders, chunk " << chunk << ", step " << step;
      }
    }
  }
}

TEST(RowOutput, TasksMayWriteUnitsWhileRowsCome) {
  const TempFolder folder;
  Arena arena(2);
  std::vector<float> expected(2000);
  std::iota(expected.begin(), expected.end(), 0.0F);
  for (const int at_once : {1, 3}) {
    EXPECT_EQ(written(folder.path() / "x.zarr", {0, 333, 1000}, 10, 4, {&arena, at_once}),
              expected);
  }
}

TEST(RowOutput, UnitsThatAreDoneStayAsTheyAreAndTheOthersAreWhole) {
  constexpr std::int64_t n = 100;
  constexpr std::int64_t chunk = 7;
  constexpr std::int64_t step = 4;
  for (const std::vector<std::int64_t>& borders : std::vector<std::vector<std::int64_t>>{
           {0, 100}, {0, 33, 66, 100}, {0, 8, 9, 10, 100}, {0, 50, 97, 98, 100}}) {
    for (const Range done_units : {Range{0, 0}, Range{0, 3}, Range{1, 8}, Range{9, 15}}) {
      const TempFolder folder;
      (void)written(folder.path() / "x.zarr", borders, chunk, step);
      RangeSet done;
      done.add({done_units.begin * chunk, std::min(done_units.end * chunk, n)});
      std::vector<Range> ranges;
      for (std::size_t r = 0; r + 1 < borders.size(); ++r)
        ranges.push_back({borders[r], borders[r + 1]});
      RangeSet all = done;
      std::mutex mutex;
      run_as_threads(static_cast<int>(ranges.size()), [&](Communicator& comm) {
        const auto mine = open_zarr(folder.path() / "x.zarr", OpenMode::update);
        const auto output = make_unit_output(mine->open_writer("x"), 2 * sizeof(float), ranges,
                                             comm.rank(), {}, done);
        const Range rows = ranges[static_cast<std::size_t>(comm.rank())];
        for (std::int64_t row = rows.begin; row < rows.end; row += step) {
          const Range block{row, std::min(row + step, rows.end)};
          if (done.contains(block)) {
            output->skip(block.size());
            continue;
          }
          const std::vector<float> values(static_cast<std::size_t>(2 * block.size()), -1.0F);
          output->append(std::as_bytes(std::span(values)));
        }
        output->exchange(comm);
        output->finish();
        const std::lock_guard lock(mutex);
        all.add(output->written());
      });
      const auto found = read_all<float>(*open_zarr(folder.path() / "x.zarr")->array("x"));
      for (std::int64_t row = 0; row < n; ++row) {
        const float expected = done.contains(row) ? static_cast<float>(2 * row) : -1.0F;
        EXPECT_EQ(found[static_cast<std::size_t>(2 * row)], expected) << row;
      }
      EXPECT_TRUE(all.contains({0, n}));
    }
  }
}

TEST(RowOutput, WhatATaskCannotWriteIsAnErrorInTheEnd) {
  const TempFolder folder;
  const auto root = open_zarr(folder.path() / "x.zarr", OpenMode::create);
  Arena arena(2);
  ArraySpec spec;
  spec.shape = {4, 2};
  spec.chunk_shape = {2, 2};
  // Rows of another width than the array's.
  const auto output =
      make_unit_output(root->create_array("x", spec), sizeof(float), {{0, 4}}, 0, {&arena, 4});
  const std::vector<float> values(4);
  output->append(std::as_bytes(std::span(values)));
  EXPECT_THROW(output->finish(), Error);
}

}  // namespace
}  // namespace cellmill
