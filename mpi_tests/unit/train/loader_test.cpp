#include "cellmill/train/loader.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <numeric>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/simulate/simulate.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// Two small plates, and what is in them.
class LoaderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    Arena arena(2);
    SimulateOptions options;
    options.plates = 2;
    options.cells = 700;
    options.genes = 900;
    options.nnz = 60;
    paths_ = simulate_plates(folder_->path(), options, arena);
    data_ = Dataset::open({paths_, std::nullopt, {}});
    rows_.clear();
    for (std::int32_t source = 0; source < 2; ++source) {
      const MatrixSource& x = data_->source(source).x();
      CsrChunk chunk;
      x.decode(x.fetch({0, x.n_rows()}), chunk);
      for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
        auto& stored = rows_.emplace_back();
        for (std::int64_t k = chunk.indptr[static_cast<std::size_t>(row)];
             k < chunk.indptr[static_cast<std::size_t>(row) + 1]; ++k) {
          stored[chunk.indices[static_cast<std::size_t>(k)]] =
              chunk.values[static_cast<std::size_t>(k)];
        }
      }
    }
  }
  static void TearDownTestSuite() {
    data_.reset();
    folder_.reset();
  }

  static RowBlocks blocks(std::int64_t size) { return RowBlocks(data_->rows_of_sources(), size); }

  static std::map<std::int32_t, float> row_of(const BatchMatrix& matrix, std::int64_t row) {
    std::map<std::int32_t, float> found;
    if (!matrix.dense.empty()) {
      for (std::int32_t c = 0; c < matrix.n_cols; ++c) {
        const float value = matrix.dense[static_cast<std::size_t>(row * matrix.n_cols + c)];
        if (value != 0) found[c] = value;
      }
      return found;
    }
    for (std::int32_t k = matrix.indptr[static_cast<std::size_t>(row)];
         k < matrix.indptr[static_cast<std::size_t>(row) + 1]; ++k) {
      found[matrix.indices[static_cast<std::size_t>(k)]] =
          matrix.values[static_cast<std::size_t>(k)];
    }
    return found;
  }

  static std::unique_ptr<TempFolder> folder_;
  static std::vector<std::filesystem::path> paths_;
  static std::shared_ptr<const Dataset> data_;
  static std::vector<std::map<std::int32_t, float>> rows_;
};

std::unique_ptr<TempFolder> LoaderTest::folder_;
std::vector<std::filesystem::path> LoaderTest::paths_;
std::shared_ptr<const Dataset> LoaderTest::data_;
std::vector<std::map<std::int32_t, float>> LoaderTest::rows_;

TEST_F(LoaderTest, EveryRowOfABatchIsTheRowOfTheStoreThatItNames) {
  for (const int threads : {1, 3}) {
    const std::shared_ptr<const Order> order =
        make_shuffled_order(blocks(16), 200, {32, 1, 1, Tail::keep});
    ReadOptions options;
    options.threads = threads;
    Loader loader(data_, order, Tail::keep, options, {});
    std::vector<int> seen(rows_.size(), 0);
    while (const auto batch = loader.next()) {
      for (std::int64_t i = 0; i < batch->n_rows(); ++i) {
        const auto row = static_cast<std::size_t>(batch->rows[static_cast<std::size_t>(i)]);
        EXPECT_EQ(row_of(batch->matrices[0], i), rows_[row]);
        ++seen[row];
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::int64_t>(seen.size()));
  }
}

TEST_F(LoaderTest, GoesOnFromEpochToEpochAndFromAnyPlace) {
  const std::shared_ptr<const Order> order =
      make_shuffled_order(blocks(16), 200, {32, 1, 2, Tail::drop});
  const auto rows_from = [&](Loader::Place place, std::int64_t batches) {
    Loader loader(data_, order, Tail::drop, {}, {});
    loader.go_to(place);
    std::vector<std::vector<std::int64_t>> rows;
    while (static_cast<std::int64_t>(rows.size()) < batches) {
      if (const auto batch = loader.next()) rows.push_back(batch->rows);
    }
    return rows;
  };
  const std::int64_t steps = 2 * order->lane_batches();
  const auto all = rows_from({0, 0}, 2 * steps);
  EXPECT_NE(std::vector(all.begin(), all.begin() + steps),
            std::vector(all.begin() + steps, all.end()));
  for (const std::int64_t first : {std::int64_t{1}, std::int64_t{7}, steps - 1, steps}) {
    EXPECT_EQ(rows_from({0, first}, steps),
              std::vector(all.begin() + first, all.begin() + first + steps));
  }
}

TEST_F(LoaderTest, ReadersTogetherHandOutWhatOneDoes) {
  const std::shared_ptr<const Order> order =
      make_shuffled_order(blocks(16), 200, {32, 1, 2, Tail::pad});
  std::map<std::int64_t, std::vector<std::int64_t>> alone;
  {
    Loader loader(data_, order, Tail::pad, {}, {});
    while (const auto batch = loader.next()) alone[batch->global_batch] = batch->rows;
  }
  for (const int readers : {2, 3, 4}) {
    for (int reader = 0; reader < readers; ++reader) {
      Loader loader(data_, order, Tail::pad, {}, {reader, readers});
      std::int64_t steps = 0;
      while (const auto batch = loader.next()) {
        ++steps;
        const auto found = alone.find(batch->global_batch);
        if (found != alone.end()) {
          EXPECT_EQ(batch->rows, found->second);
        } else {
          EXPECT_EQ(batch->rows, std::vector<std::int64_t>(32, -1));
          EXPECT_EQ(batch->matrices[0].nnz(), 0);
        }
      }
      EXPECT_EQ(steps, loader.steps());
    }
  }
}

TEST_F(LoaderTest, ChosenGenesAreTheBatchesColumnsInTheOrderAsked) {
  const JoinedGenes joined = data_->genes();
  const std::vector<std::int32_t> wanted = {500, 3, 700, 42};
  ReadOptions options;
  options.genes.emplace();
  for (const std::int32_t gene : wanted) {
    options.genes->push_back(joined.names[static_cast<std::size_t>(gene)]);
  }
  options.genes->push_back("no such gene");
  for (const BatchLayout layout : {BatchLayout::csr, BatchLayout::dense}) {
    options.layout = layout;
    const std::shared_ptr<const Order> order =
        make_shuffled_order(blocks(16), 200, {32, 1, 1, Tail::keep});
    Loader loader(data_, order, Tail::keep, options, {});
    EXPECT_EQ(loader.genes(), *options.genes);
    while (const auto batch = loader.next()) {
      EXPECT_EQ(batch->matrices[0].n_cols, 5);
      for (std::int64_t i = 0; i < batch->n_rows(); ++i) {
        const auto& stored =
            rows_[static_cast<std::size_t>(batch->rows[static_cast<std::size_t>(i)])];
        std::map<std::int32_t, float> expected;
        for (std::int32_t c = 0; c < 4; ++c) {
          const auto found = stored.find(wanted[static_cast<std::size_t>(c)]);
          if (found != stored.end()) expected[c] = found->second;
        }
        EXPECT_EQ(row_of(batch->matrices[0], i), expected);
      }
    }
  }
}

TEST_F(LoaderTest, NormalisesByTheTotalOfAllGenes) {
  ReadOptions options;
  options.genes = std::vector<std::string>{data_->genes().names[5], data_->genes().names[6]};
  options.transform = {1e4, true};
  const std::shared_ptr<const Order> order =
      make_sequential_order(blocks(64), {100, 1, 1, Tail::keep});
  Loader loader(data_, order, Tail::keep, options, {});
  while (const auto batch = loader.next()) {
    for (std::int64_t i = 0; i < batch->n_rows(); ++i) {
      const auto& stored =
          rows_[static_cast<std::size_t>(batch->rows[static_cast<std::size_t>(i)])];
      double total = 0;
      for (const auto& [gene, value] : stored) total += static_cast<double>(value);
      for (const auto& [column, value] : row_of(batch->matrices[0], i)) {
        const double count = static_cast<double>(stored.at(column + 5));
        EXPECT_NEAR(static_cast<double>(value), std::log1p(count * 1e4 / total), 1e-6);
      }
    }
  }
}

TEST_F(LoaderTest, ColumnsOfObsComeWithTheRows) {
  ReadOptions options;
  options.obs = {"cell_line", "plate"};
  const std::shared_ptr<const Order> order =
      make_shuffled_order(blocks(16), 200, {32, 1, 1, Tail::pad});
  EXPECT_THROW(Loader(data_, order, Tail::pad, options, {}), Error);
  options.obs = {"cell_line", "drug"};
  Loader loader(data_, order, Tail::pad, options, {});
  const auto all = data_->obs("cell_line");
  while (const auto batch = loader.next()) {
    std::vector<std::int64_t> expected(batch->rows.size());
    all->gather(batch->rows, expected);
    EXPECT_EQ(batch->obs[0].integers, expected);
  }
}

TEST_F(LoaderTest, MemoryThatDoesNotHoldAWindowIsAnErrorThatSaysSo) {
  ReadOptions options;
  options.memory = 100'000;
  const std::shared_ptr<const Order> order =
      make_shuffled_order(blocks(16), 1'024, {32, 1, 1, Tail::drop});
  Loader loader(data_, order, Tail::drop, options, {});
  try {
    (void)loader.next();
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("a window of rows needs"));
  }
}

TEST_F(LoaderTest, AStopInTheMiddleEndsCleanly) {
  const std::shared_ptr<const Order> order =
      make_shuffled_order(blocks(16), 200, {32, 1, 1, Tail::drop});
  for (int i = 0; i < 20; ++i) {
    Loader loader(data_, order, Tail::drop, {}, {});
    for (int k = 0; k < i; ++k) (void)loader.next();
  }
}

TEST_F(LoaderTest, AnyRowsComeInTheOrderAsked) {
  RowGatherer gatherer(data_, {});
  const std::vector<std::int64_t> wanted = {1'399, 0, 700, 699, 0, 5, 6, 7};
  const auto batch = gatherer.rows(wanted);
  EXPECT_EQ(batch->rows, wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(row_of(batch->matrices[0], static_cast<std::int64_t>(i)),
              rows_[static_cast<std::size_t>(wanted[i])]);
  }
  EXPECT_EQ(gatherer.rows({})->n_rows(), 0);
  EXPECT_THROW((void)gatherer.rows(std::vector<std::int64_t>{1'400}), Error);
}

TEST_F(LoaderTest, GenesThatMatchNothingAreToldApartAsSymbolsAndIds) {
  ReadOptions options;
  options.genes = std::vector<std::string>{"ENSG00000141510", "ENSG00000012048"};
  const std::shared_ptr<const Order> order =
      make_sequential_order(blocks(64), {100, 1, 1, Tail::keep});
  try {
    Loader loader(data_, order, Tail::keep, options, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("none of the 2 is in the data"));
    EXPECT_THAT(error.what(), testing::HasSubstr("one looks like gene symbols"));
  }
}

TEST_F(LoaderTest, RowsSelectedByAConditionAreThoseItHoldsFor) {
  const std::vector<std::int64_t> chosen = data_->select("pass_filter == \"full\"");
  const auto codes = data_->obs("pass_filter");
  std::int64_t full = -1;
  for (std::int64_t i = 0; i < codes->levels().size(); ++i) {
    if (codes->levels()[i] == "full") full = i;
  }
  std::vector<std::int64_t> expected;
  for (std::int64_t row = 0; row < data_->n_obs(); ++row) {
    std::int64_t code = 0;
    codes->gather(std::span(&row, 1), std::span<std::int64_t>(&code, 1));
    if (code == full) expected.push_back(row);
  }
  EXPECT_EQ(chosen, expected);
  EXPECT_FALSE(chosen.empty());
}

}  // namespace
}  // namespace cellmill
