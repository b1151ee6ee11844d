#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <thread>
#include <vector>

#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/error.hpp"
#include "rank_world.hpp"

// Faults that end the whole job, so that they can't run among other tests: comm_faults.sh starts
// each by itself and looks at how the job ends.

namespace cellmill {
namespace {

using std::chrono::milliseconds;

void work_until_stopped(PulseControl& pulse) {
  for (;;) {
    pulse.check();
    std::this_thread::sleep_for(milliseconds(1));
  }
}

int last_rank() { return rank_world().size() - 1; }

/// One step in which `rank` gets `signal`.
void step_with_signal(int rank, int signal) {
  PulseOptions options;
  options.silence = milliseconds(2000);
  with_pulse(
      rank_world(),
      [&](PulseControl& pulse) {
        if (rank_world().rank() == rank) raise(signal);
        work_until_stopped(pulse);
      },
      options);
}

/// The last rank ends; the others run `wait` and print what it throws. All end in order.
void end_last_rank_while_others(const std::function<void()>& wait) {
  if (rank_world().rank() != last_rank()) {
    try {
      wait();
    } catch (const std::exception& error) {
      std::fputs(fmt::format("told: {}\n", error.what()).c_str(), stderr);
    }
  }
  end_rank_world();
  _exit(0);
}

TEST(MpiFault, DISABLED_LastRankIsKilledInAStep) { step_with_signal(last_rank(), SIGKILL); }

TEST(MpiFault, DISABLED_FirstRankIsKilledInAStep) { step_with_signal(0, SIGKILL); }

TEST(MpiFault, DISABLED_LastRankFreezesInAStep) { step_with_signal(last_rank(), SIGSTOP); }

TEST(MpiFault, DISABLED_LastRankIsKilledBeforeACollective) {
  if (rank_world().rank() == last_rank()) raise(SIGKILL);
  std::int64_t one = 1;
  rank_world().all_reduce_sum({&one, 1});
}

/// Somewhere in it: most of the time goes into MPI's own operations.
void kill_in_collectives(int rank) {
  std::jthread killer;
  if (rank_world().rank() == rank) {
    killer = std::jthread([] {
      std::this_thread::sleep_for(milliseconds(500));
      raise(SIGKILL);
    });
  }
  std::vector<std::int64_t> values(4'000'000, 1);
  for (;;) rank_world().all_reduce_sum(values);
}

TEST(MpiFault, DISABLED_LastRankIsKilledInACollective) { kill_in_collectives(last_rank()); }

TEST(MpiFault, DISABLED_FirstRankIsKilledInACollective) { kill_in_collectives(0); }

TEST(MpiFault, DISABLED_LastRankIsKilledBeforeAMessage) {
  if (rank_world().rank() == last_rank()) raise(SIGKILL);
  (void)rank_world().receive(last_rank());
}

TEST(MpiFault, DISABLED_LastRankEndsBeforeACollective) {
  end_last_rank_while_others([] {
    std::int64_t one = 1;
    rank_world().all_reduce_sum({&one, 1});
  });
}

TEST(MpiFault, DISABLED_LastRankEndsBeforeAMessage) {
  end_last_rank_while_others([] { (void)rank_world().receive(last_rank()); });
}

TEST(MpiFault, DISABLED_LastRankEndsBeforeTakingAMessage) {
  end_last_rank_while_others(
      [] { rank_world().send(std::vector<std::byte>(1'000'000), last_rank()); });
}

TEST(MpiFault, DISABLED_LastRankEndsBeforeAStep) {
  end_last_rank_while_others([] { with_pulse(rank_world(), work_until_stopped); });
}

TEST(MpiFault, DISABLED_LastRankEndsAfterTakingPart) {
  // The others are slow to look, but nothing is missing.
  if (rank_world().rank() == last_rank()) {
    for (int to = 0; to < last_rank(); ++to) rank_world().send(std::vector<std::byte>(100), to);
  }
  end_last_rank_while_others([] {
    std::this_thread::sleep_for(milliseconds(1000));
    if (rank_world().receive(last_rank()).size() == 100) std::fputs("told: nothing\n", stderr);
  });
}

TEST(MpiFault, DISABLED_LastRankThrowsWhileOthersWorkOn) {
  // Past the time for which a failed rank waits: the launcher ends the job.
  if (rank_world().rank() == last_rank()) {
    try {
      struct End {
        ~End() { end_rank_world(); }
      } end;
      throw std::runtime_error("broken");
    } catch (const std::exception& error) {
      std::fputs(fmt::format("told: {}\n", error.what()).c_str(), stderr);
      _exit(1);
    }
  }
  std::this_thread::sleep_for(std::chrono::seconds(60));
}

}  // namespace
}  // namespace cellmill
