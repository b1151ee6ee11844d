#include "cellmill/core/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <stdexcept>
#include <vector>

#include "cellmill/core/random.hpp"
#include "cellmill/core/ranges.hpp"

namespace cellmill {
namespace {

class ArenaOf : public testing::TestWithParam<int> {};

TEST_P(ArenaOf, RunsEveryIndexOnce) {
  Arena arena(GetParam());
  EXPECT_EQ(arena.threads(), GetParam());
  std::vector<std::atomic<int>> seen(1000);
  arena.for_each(1000, [&](std::int64_t i) { ++seen[static_cast<std::size_t>(i)]; });
  for (const auto& count : seen) EXPECT_EQ(count, 1);
  arena.for_each(0, [](std::int64_t) { FAIL(); });
}

TEST_P(ArenaOf, RethrowsFromLoopsAndTasks) {
  Arena arena(GetParam());
  EXPECT_THROW(arena.for_each(10,
                              [](std::int64_t i) {
                                if (i == 7) throw std::runtime_error("seven");
                              }),
               std::runtime_error);
  Arena::Tasks tasks(arena);
  tasks.run([] { throw std::runtime_error("task"); });
  EXPECT_THROW(tasks.wait(), std::runtime_error);
}

TEST_P(ArenaOf, NestsLoopsInTasks) {
  Arena arena(GetParam());
  std::atomic<int> sum{0};
  Arena::Tasks tasks(arena);
  for (int t = 0; t < 20; ++t) {
    tasks.run([&] { arena.for_each(50, [&](std::int64_t i) { sum += static_cast<int>(i); }); });
  }
  tasks.wait();
  EXPECT_EQ(sum, 20 * 49 * 50 / 2);
}

INSTANTIATE_TEST_SUITE_P(Threads, ArenaOf, testing::Values(1, 2, 4));

TEST(Threads, DefaultIsAtLeastOne) {
  EXPECT_GE(default_threads(1), 1);
  EXPECT_EQ(default_threads(100000), 1);
}

TEST(EvenPart, PartsAreDisjointAndComplete) {
  for (const std::int64_t total : {0, 1, 7, 100}) {
    for (const std::int64_t parts : {1, 3, 8}) {
      std::int64_t next = 0;
      for (std::int64_t i = 0; i < parts; ++i) {
        const Range part = even_part(total, parts, i);
        EXPECT_EQ(part.begin, next);
        next = part.end;
      }
      EXPECT_EQ(next, total);
    }
  }
}

TEST(CounterRng, IsAPureFunctionThatSpreads) {
  const CounterRng rng(7, 3);
  EXPECT_EQ(rng.bits(5), CounterRng(7, 3).bits(5));
  EXPECT_NE(rng.bits(5), CounterRng(8, 3).bits(5));
  EXPECT_NE(rng.bits(5), CounterRng(7, 4).bits(5));
  double sum = 0;
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const double u = rng.uniform(i);
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    seen.insert(rng.below(i, 10));
  }
  EXPECT_NEAR(sum / 10000, 0.5, 0.02);
  EXPECT_EQ(seen.size(), 10U);
}

}  // namespace
}  // namespace cellmill
