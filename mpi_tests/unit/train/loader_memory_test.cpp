#include <gmock/gmock.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/simulate/simulate.hpp"
#include "cellmill/train/label_order.hpp"
#include "cellmill/train/loader.hpp"
#include "cellmill/train/paired_order.hpp"
#include "cellmill/train/weighted_order.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

/// 20,000 rows of few values: what is known of a row is much beside what a window takes.
class LoaderMemoryTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TempFolder>();
    Arena arena(2);
    SimulateOptions options;
    options.plates = 1;
    options.cells = 20'000;
    options.genes = 100;
    options.nnz = 3;
    data_ = Dataset::open({simulate_plates(folder_->path(), options, arena), std::nullopt, {}});
  }
  static void TearDownTestSuite() {
    data_.reset();
    folder_.reset();
  }

  static constexpr std::int64_t n_rows = 20'000;
  static constexpr std::int64_t window = 64;
  static RowBlocks blocks() { return RowBlocks(data_->rows_of_sources(), 8); }
  static OrderOptions options() { return {32, 1, 1, Tail::drop}; }
  static std::shared_ptr<const Order> weighted() {
    return make_weighted_order(blocks(), RowWeights(std::vector<double>(n_rows, 1)), window,
                               options());
  }
  static std::shared_ptr<const Order> balanced() {
    return make_balanced_order(blocks(), labels_of(*data_->obs("cell_line")), window, options());
  }
  static std::shared_ptr<const Order> paired() {
    const RowLabels drugs = labels_of(*data_->obs("drug"));
    return make_paired_order(split_conditions(blocks(), drugs, "DMSO_TF"), drugs, "DMSO_TF",
                             combined_labels({}, n_rows), window, options());
  }

  static std::unique_ptr<TempFolder> folder_;
  static std::shared_ptr<const Dataset> data_;
};

std::unique_ptr<TempFolder> LoaderMemoryTest::folder_;
std::shared_ptr<const Dataset> LoaderMemoryTest::data_;

TEST_F(LoaderMemoryTest, OrdersSayWhatTheyHoldOfTheRows) {
  EXPECT_EQ(make_sequential_order(blocks(), options())->bytes(), 0);
  const std::vector<double> others(n_rows, 1);
  const auto not_own = make_weighted_order(
      blocks(), RowWeights(std::span<const double>(others), nullptr), window, options());
  EXPECT_EQ(weighted()->bytes() - not_own->bytes(), n_rows * 8);
  EXPECT_GE(not_own->bytes(), n_rows / 8 * 16);  // a number and a probability a block
  EXPECT_GE(balanced()->bytes(), n_rows * 4);
  EXPECT_GE(paired()->bytes(), n_rows * 4 + n_rows * 8);  // labels, and which rows are which
}

TEST_F(LoaderMemoryTest, WhatOrdersHoldCountsAndTheErrorSaysWhatWouldDo) {
  for (const auto& order : {weighted(), balanced(), paired()}) {
    ReadOptions read;
    read.memory = order->bytes() - 1;
    std::string message;
    try {
      const Loader loader(data_, order, Tail::drop, read, {});
    } catch (const Error& error) {
      message = error.what();
    }
    ASSERT_THAT(message, testing::HasSubstr("labels, weights and rows in use"));
    const std::string before = "but memory is " + human_bytes(read.memory) + ": with ";
    const std::size_t at = message.find(before);
    ASSERT_NE(at, std::string::npos) << message;
    std::string enough = message.substr(at + before.size());
    enough.resize(enough.find(" or more"));
    std::erase(enough, ' ');
    read.memory = static_cast<std::int64_t>(std::strtod(enough.c_str(), nullptr) * 1e3);
    ASSERT_THAT(enough, testing::EndsWith("kB"));
    Loader loader(data_, order, Tail::drop, read, {});
    std::int64_t steps = 0;
    while (loader.next()) ++steps;
    EXPECT_EQ(steps, loader.steps());
  }
}

}  // namespace
}  // namespace cellmill
