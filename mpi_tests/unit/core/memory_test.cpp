#include "cellmill/core/memory.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

TEST(MemoryBudget, GivesBackWhatDies) {
  MemoryBudget budget(100);
  {
    const auto held = budget.reserve(60, "a test");
    EXPECT_EQ(budget.reserved(), 60);
    EXPECT_FALSE(budget.fits(41));
  }
  EXPECT_EQ(budget.reserved(), 0);
  EXPECT_EQ(budget.peak(), 60);
}

TEST(MemoryBudget, SaysWhatDidNotFit) {
  MemoryBudget budget(100);
  try {
    (void)budget.reserve(101, "the Gram matrix");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_NE(std::string(error.what()).find("the Gram matrix"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("--memory"), std::string::npos);
  }
}

TEST(MemoryBudget, AnOversizedItemRunsAlone) {
  MemoryBudget budget(100);
  const auto standing = budget.reserve(90, "a test");
  auto big = budget.wait_for(1000);
  EXPECT_EQ(budget.reserved(), 1090);
  auto next = std::async(std::launch::async, [&] { return budget.wait_for(5).bytes(); });
  EXPECT_EQ(next.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  big = {};
  EXPECT_EQ(next.get(), 5);
}

TEST(MemoryBudget, GrantsInOrderOfArrival) {
  MemoryBudget budget(10);
  auto held = budget.wait_for(10);
  std::atomic<int> granted{0};
  auto large = std::async(std::launch::async, [&] {
    const auto mine = budget.wait_for(10);
    return ++granted;
  });
  // The second asks only when the first is surely waiting: shrinking frees too little for it.
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  auto small = std::async(std::launch::async, [&] {
    const auto mine = budget.wait_for(1);
    return ++granted;
  });
  held.shrink_to(5);
  EXPECT_EQ(small.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  held = {};
  EXPECT_EQ(large.get(), 1);
  EXPECT_EQ(small.get(), 2);
}

TEST(Memory, PeakIsAtLeastCurrent) {
  EXPECT_GT(current_rss(), 0);
  EXPECT_GE(peak_rss() + (1 << 20), current_rss());
  EXPECT_GT(available_memory(), 0);
}

}  // namespace
}  // namespace cellmill
