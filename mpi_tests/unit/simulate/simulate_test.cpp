#include "cellmill/simulate/simulate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

SimulateOptions small(const std::string& format = "h5ad") {
  SimulateOptions options;
  options.plates = 2;
  options.cells = 500;
  options.genes = 3000;
  options.nnz = 200;
  options.cell_lines = 5;
  options.format = format;
  return options;
}

std::vector<fs::path> simulate(const fs::path& folder, const SimulateOptions& options,
                               int threads = 2) {
  Arena arena(threads);
  return simulate_plates(folder, options, arena);
}

/// Everything that a plate holds, in memory.
struct Contents {
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> data;
  Strings cells;
  Strings genes;
  std::vector<std::int32_t> lines;
  std::vector<std::string> drugs;
  std::vector<std::int64_t> counts;
  std::vector<bool> full;
  bool operator==(const Contents&) const = default;
};

Contents contents_of(const fs::path& path) {
  const auto plate = AnnData::open(path);
  const auto x = plate->root().group("X");
  const Range rows{0, plate->n_obs()};
  const DataFrame& obs = plate->obs();
  Contents contents{read_all<std::int64_t>(*x->array("indptr")),
                    read_all<std::int32_t>(*x->array("indices")),
                    read_all<float>(*x->array("data")),
                    obs.index(rows),
                    plate->var().index({0, plate->n_vars()}),
                    obs.read("cell_line", rows).codes,
                    obs.levels("drug").to_vector(),
                    obs.read("tscp_count", rows).integers,
                    {}};
  const Strings filters = obs.levels("pass_filter");
  for (const std::int32_t code : obs.read("pass_filter", rows).codes) {
    contents.full.push_back(filters[code] == "full");
  }
  return contents;
}

/// How many names are left in a folder, hidden ones too.
std::ptrdiff_t files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

std::string complaint(const SimulateOptions& options) {
  const TempFolder folder;
  try {
    (void)simulate(folder.path(), options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Simulate, GivesTheSameDataWithAnyNumberOfThreads) {
  const TempFolder folder;
  const auto one = simulate(folder.path() / "one", small(), 1);
  const auto three = simulate(folder.path() / "three", small(), 3);
  ASSERT_EQ(one.size(), 2U);
  EXPECT_EQ(one[1].filename(), "plate2.h5ad");
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_TRUE(contents_of(one[i]) == contents_of(three[i])) << i;
  }
  EXPECT_FALSE(contents_of(one[0]) == contents_of(one[1]));
}

TEST(Simulate, GivesTheSameDataInBothFormats) {
  const TempFolder folder;
  const auto h5ad = simulate(folder.path(), small("h5ad"));
  const auto zarr = simulate(folder.path(), small("zarr"));
  EXPECT_TRUE(contents_of(h5ad[0]) == contents_of(zarr[0]));
}

TEST(Simulate, AnotherSeedGivesOtherData) {
  const TempFolder folder;
  SimulateOptions options = small();
  const Contents first = contents_of(simulate(folder.path() / "a", options)[0]);
  options.seed = 8;
  EXPECT_FALSE(first.data == contents_of(simulate(folder.path() / "b", options)[0]).data);
}

TEST(Simulate, RowsAreCanonicalCounts) {
  const TempFolder folder;
  const Contents plate = contents_of(simulate(folder.path(), small())[0]);
  ASSERT_EQ(plate.indptr.size(), 501U);
  EXPECT_EQ(plate.indptr.back(), static_cast<std::int64_t>(plate.data.size()));
  for (std::size_t cell = 0; cell < 500; ++cell) {
    const auto begin = plate.indptr[cell];
    const auto end = plate.indptr[cell + 1];
    EXPECT_TRUE(std::is_sorted(plate.indices.begin() + begin, plate.indices.begin() + end,
                               std::less_equal<>()));
    EXPECT_EQ(std::accumulate(plate.data.begin() + begin, plate.data.begin() + end, 0.0),
              static_cast<double>(plate.counts[cell]));
  }
  EXPECT_GE(*std::min_element(plate.data.begin(), plate.data.end()), 1);
  EXPECT_LT(*std::max_element(plate.indices.begin(), plate.indices.end()), 3000);
}

TEST(Simulate, NonzerosAreAsAskedFor) {
  const TempFolder folder;
  SimulateOptions options = small();
  options.cells = 4000;
  double nonzeros = 0;
  double full = 0;
  for (const fs::path& path : simulate(folder.path(), options)) {
    const Contents plate = contents_of(path);
    for (std::size_t cell = 0; cell < plate.full.size(); ++cell) {
      if (!plate.full[cell]) continue;
      nonzeros += static_cast<double>(plate.indptr[cell + 1] - plate.indptr[cell]);
      full += 1;
    }
  }
  EXPECT_NEAR(nonzeros / full, 200, 4);
  EXPECT_NEAR(full / 8000, 0.9, 0.02);
}

TEST(Simulate, NamesAreUnique) {
  const TempFolder folder;
  const Contents plate = contents_of(simulate(folder.path(), small())[0]);
  const auto cells = plate.cells.to_vector();
  const auto genes = plate.genes.to_vector();
  EXPECT_EQ(std::set<std::string>(cells.begin(), cells.end()).size(), 500U);
  EXPECT_EQ(std::set<std::string>(genes.begin(), genes.end()).size(), 3000U);
  EXPECT_EQ(cells[0], "01_001_001-lib_101");
}

TEST(Simulate, PlatesShareGenesAndTheControlButNotEveryDrug) {
  const TempFolder folder;
  const auto paths = simulate(folder.path(), small());
  const Contents first = contents_of(paths[0]);
  const Contents second = contents_of(paths[1]);
  EXPECT_EQ(first.genes, second.genes);
  EXPECT_EQ(std::count(first.drugs.begin(), first.drugs.end(), "DMSO_TF"), 1);
  EXPECT_EQ(std::count(second.drugs.begin(), second.drugs.end(), "DMSO_TF"), 1);
  EXPECT_NE(first.drugs, second.drugs);
}

TEST(Simulate, OneCellOfFewGenesWorks) {
  const TempFolder folder;
  SimulateOptions options = small();
  options.plates = 1;
  options.cells = 1;
  options.genes = 20;
  options.nnz = 2;
  options.cell_lines = 1;
  EXPECT_EQ(contents_of(simulate(folder.path(), options)[0]).indptr.size(), 2U);
}

TEST(Simulate, RefusesMoreNonzerosThanGenesCanGive) {
  SimulateOptions options = small();
  options.genes = 100;
  EXPECT_THAT(complaint(options), HasSubstr("200 non-zeros a cell can't be had from 100 genes"));
}

TEST(Simulate, RefusesOptionsOutOfRange) {
  SimulateOptions options = small();
  options.cells = 0;
  EXPECT_THAT(complaint(options), HasSubstr("--cells is 0"));
  options = small("loom");
  EXPECT_THAT(complaint(options), HasSubstr("'loom'"));
  options = small();
  options.nnz = 0;
  EXPECT_THAT(complaint(options), HasSubstr("--nnz is 0"));
}

TEST(Simulate, AnOutputThatExistsIsReplacedOnlyWhenAsked) {
  const TempFolder folder;
  SimulateOptions options = small();
  (void)simulate(folder.path(), options);
  EXPECT_THROW((void)simulate(folder.path(), options), Error);
  options.if_exists = IfExists::overwrite;
  EXPECT_EQ(simulate(folder.path(), options).size(), 2U);
}

TEST(Simulate, ReportsEveryCellOnce) {
  const TempFolder folder;
  Arena arena(2);
  std::int64_t last = 0;
  (void)simulate_plates(folder.path(), small(), arena, [&](std::int64_t cells) {
    EXPECT_GE(cells, last);
    last = cells;
  });
  EXPECT_EQ(last, 1000);
}

TEST(Simulate, AStopLeavesNothingBehind) {
  const TempFolder folder;
  Arena arena(2);
  const auto stop_at_first = [](std::int64_t) { request_stop(); };
  SimulateOptions options = small();
  options.cells = 5000;
  try {
    (void)simulate_plates(folder.path(), options, arena, stop_at_first);
    ADD_FAILURE() << "was not stopped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::stopped);
  }
  request_stop(false);
  EXPECT_EQ(files_in(folder.path()), 0);
}

}  // namespace
}  // namespace cellmill
