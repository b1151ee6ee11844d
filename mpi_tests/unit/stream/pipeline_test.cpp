#include "cellmill/stream/pipeline.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

struct Number : Fetched {
  std::int64_t value = 0;
};

Pass pass_of(std::int64_t count) {
  Pass pass;
  pass.count = count;
  pass.cost = [](std::int64_t) { return std::int64_t{10}; };
  pass.fetch = [](std::int64_t item) {
    auto number = std::make_unique<Number>();
    number->value = item * item;
    return number;
  };
  pass.process = [](std::int64_t, Fetched&) {};
  return pass;
}

class RunPass : public testing::TestWithParam<int> {
 protected:
  Arena arena_{GetParam()};
};

TEST_P(RunPass, ProcessesEveryItemOnce) {
  MemoryBudget budget(1000);
  std::vector<std::atomic<int>> seen(500);
  Pass pass = pass_of(500);
  pass.process = [&](std::int64_t item, Fetched& fetched) {
    EXPECT_EQ(static_cast<Number&>(fetched).value, item * item);
    ++seen[static_cast<std::size_t>(item)];
  };
  run_pass(pass, {arena_, budget});
  for (const auto& count : seen) EXPECT_EQ(count, 1);
  EXPECT_EQ(budget.reserved(), 0);
}

TEST_P(RunPass, NothingToDoIsDone) {
  MemoryBudget budget(1000);
  run_pass(pass_of(0), {arena_, budget});
}

TEST_P(RunPass, DeliversInOrder) {
  MemoryBudget budget(1000);
  std::vector<std::int64_t> order;
  Pass pass = pass_of(300);
  pass.process = [](std::int64_t item, Fetched&) {
    if (item % 3 == 0) std::this_thread::yield();
  };
  pass.deliver = [&](std::int64_t item, Fetched&) { order.push_back(item); };
  run_pass(pass, {arena_, budget});
  ASSERT_EQ(order.size(), 300U);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST_P(RunPass, StaysWithinTheBudget) {
  MemoryBudget budget(25);
  Pass pass = pass_of(100);
  pass.deliver = [](std::int64_t, Fetched&) {};
  run_pass(pass, {arena_, budget});
  EXPECT_LE(budget.peak(), 25);
}

TEST_P(RunPass, RunsWithABudgetBelowOneItem) {
  MemoryBudget budget(1);
  std::atomic<int> done{0};
  Pass pass = pass_of(20);
  pass.process = [&](std::int64_t, Fetched&) { ++done; };
  run_pass(pass, {arena_, budget});
  EXPECT_EQ(done, 20);
  EXPECT_EQ(budget.peak(), 10);
}

TEST_P(RunPass, AnErrorInAnyStageEndsIt) {
  for (const int stage : {0, 1, 2, 3, 4}) {
    MemoryBudget budget(1000);
    const auto fail = [&](int here, std::int64_t item) {
      if (here == stage && item == 30) throw input_error("item 30");
    };
    std::atomic<std::int64_t> checked{0};
    Pass pass = pass_of(100000);
    pass.cost = [&](std::int64_t item) {
      fail(0, item);
      return std::int64_t{10};
    };
    pass.check = [&] { fail(1, checked++); };
    pass.fetch = [&](std::int64_t item) {
      fail(2, item);
      return std::make_unique<Number>();
    };
    pass.process = [&](std::int64_t item, Fetched&) { fail(3, item); };
    pass.deliver = [&](std::int64_t item, Fetched&) { fail(4, item); };
    try {
      run_pass(pass, {arena_, budget});
      FAIL() << stage;
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "item 30");
    }
    EXPECT_EQ(budget.reserved(), 0) << stage;
  }
}

INSTANTIATE_TEST_SUITE_P(Threads, RunPass, testing::Values(1, 2, 4));

}  // namespace
}  // namespace cellmill
