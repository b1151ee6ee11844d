#include "analysis/hang_watch.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

namespace cellmill {
namespace {

using namespace std::chrono_literals;

TEST(HangWatch, TellsTheOldestCallThatIsUnderWay) {
  HangWatch watch;
  const auto in_an_hour = HangWatch::Clock::now() + 1h;
  EXPECT_FALSE(watch.older(in_an_hour));
  std::optional<HangWatch::UnderWay> first;
  first.emplace(watch, "first");
  const HangWatch::UnderWay second(watch, "second");
  ASSERT_TRUE(watch.older(in_an_hour));
  EXPECT_EQ(watch.older(in_an_hour)->what, "first");
  first.reset();
  EXPECT_EQ(watch.older(in_an_hour)->what, "second");
}

TEST(HangWatch, ACallIsNotOlderThanItsBeginning) {
  const auto before = HangWatch::Clock::now();
  HangWatch watch;
  const HangWatch::UnderWay call(watch, "call");
  EXPECT_FALSE(watch.older(before));
}

}  // namespace
}  // namespace cellmill
