#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <thread>

#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"
#include "rank_world.hpp"

namespace cellmill {
namespace {

using std::chrono::milliseconds;

std::string outcome_of(const std::function<void(PulseControl&)>& work) {
  try {
    with_pulse(rank_world(), work);
  } catch (const Error& error) {
    return error.what();
  }
  return "fine";
}

void work_until_stopped(PulseControl& pulse) {
  for (;;) {
    pulse.check();
    std::this_thread::sleep_for(milliseconds(1));
  }
}

/// What every rank must see of rank `rank`'s error.
std::string error_of(int rank, const std::string& text) {
  return rank_world().size() == 1 ? text : fmt::format("rank {}: {}", rank, text);
}

TEST(MpiPulse, ManyShortStepsCostNoInterval) {
  const auto start = std::chrono::steady_clock::now();
  for (int step = 0; step < 200; ++step) EXPECT_EQ(outcome_of([](PulseControl&) {}), "fine");
  const auto took = std::chrono::steady_clock::now() - start;
  // At 250 ms each this would be 50 s.
  EXPECT_LT(took, std::chrono::seconds(10));
  if (rank_world().rank() == 0) {
    ::testing::Test::RecordProperty("microseconds_a_step",
                                    static_cast<int>(took / std::chrono::microseconds(200)));
  }
}

TEST(MpiPulse, AnErrorReachesAllRanks) {
  for (int failing = 0; failing < rank_world().size(); ++failing) {
    EXPECT_EQ(outcome_of([&](PulseControl& pulse) {
                if (rank_world().rank() == failing) throw io_error("Zelle-ß: gone");
                work_until_stopped(pulse);
              }),
              error_of(failing, "Zelle-ß: gone"));
  }
}

TEST(MpiPulse, TheLowestFailingRankWins) {
  EXPECT_EQ(outcome_of([](PulseControl&) { throw io_error("no such file"); }),
            error_of(0, "no such file"));
}

TEST(MpiPulse, AStopOnOneRankStopsAll) {
  if (rank_world().rank() == rank_world().size() - 1) request_stop();
  EXPECT_EQ(outcome_of(work_until_stopped), "stopped on request");
  request_stop(false);
}

TEST(MpiPulse, CallsUseMpiFromTheMainThread) {
  // Every rank makes the same calls, so they may even be collective.
  std::int64_t sum = 1;
  EXPECT_EQ(outcome_of([&](PulseControl& pulse) {
              for (int i = 0; i < 3; ++i) {
                pulse.on_main([&] { rank_world().all_reduce_sum({&sum, 1}); });
              }
            }),
            "fine");
  const std::int64_t n = rank_world().size();
  EXPECT_EQ(sum, n * n * n);
}

TEST(MpiPulse, CollectivesWorkBetweenSteps) {
  for (int step = 0; step < 20; ++step) {
    EXPECT_EQ(outcome_of([](PulseControl&) {}), "fine");
    EXPECT_EQ(rank_world().exscan_sum(1), rank_world().rank());
  }
}

}  // namespace
}  // namespace cellmill
