#include "cellmill/comm/pulse.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>

#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"

namespace cellmill {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::StrEq;

PulseOptions quick() {
  PulseOptions options;
  options.interval = milliseconds(5);
  return options;
}

/// Kind and text of what with_pulse threw on each rank.
struct Outcome {
  std::vector<Error::Kind> kinds;
  std::vector<std::string> texts;
};

/// Runs one step on `ranks` threads. `work` is given the rank.
Outcome outcome_of(int ranks, const std::function<void(PulseControl&, int)>& work,
                   const PulseOptions& options = quick()) {
  Outcome outcome;
  outcome.kinds.resize(static_cast<std::size_t>(ranks));
  outcome.texts.resize(static_cast<std::size_t>(ranks), "nothing was thrown");
  run_as_threads(ranks, [&](Communicator& comm) {
    const auto rank = static_cast<std::size_t>(comm.rank());
    try {
      with_pulse(
          comm, [&](PulseControl& pulse) { work(pulse, comm.rank()); }, options);
    } catch (const Error& error) {
      outcome.kinds[rank] = error.kind();
      outcome.texts[rank] = error.what();
    }
  });
  return outcome;
}

void work_until_stopped(PulseControl& pulse) {
  for (;;) {
    pulse.check();
    std::this_thread::yield();
  }
}

/// Stop requests are global: each test of them begins and ends without one.
class StopRequest : public ::testing::Test {
 protected:
  void SetUp() override { request_stop(false); }
  void TearDown() override { request_stop(false); }
};

class PulseOnRanks : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, PulseOnRanks, ::testing::Range(1, 5));

TEST_P(PulseOnRanks, ReturnsWhenAllAreDone) {
  std::atomic<int> done{0};
  run_as_threads(GetParam(), [&](Communicator& comm) {
    with_pulse(
        comm, [&](PulseControl&) { ++done; }, quick());
    EXPECT_EQ(done, GetParam());
    // Nobody begins to undo it before all have looked.
    std::int64_t one = 1;
    comm.all_reduce_sum({&one, 1});
  });
}

TEST_P(PulseOnRanks, ManyShortOnesInARow) {
  std::atomic<int> done{0};
  run_as_threads(GetParam(), [&](Communicator& comm) {
    for (int step = 1; step <= 300; ++step) {
      with_pulse(comm, [&](PulseControl&) { ++done; });
      EXPECT_GE(done, step * comm.size());
    }
  });
  EXPECT_EQ(done, 300 * GetParam());
}

TEST_P(PulseOnRanks, ProgressIsSummedOverRanks) {
  const int ranks = GetParam();
  PulseProgress last;
  auto options = quick();
  options.share = 100;
  options.on_progress = [&](const PulseProgress& progress) {
    EXPECT_GE(progress.cells, last.cells);
    last = progress;
  };
  std::latch all_ran(ranks);
  run_as_threads(ranks, [&](Communicator& comm) {
    auto mine = options;
    if (comm.rank() != 0) mine.on_progress = [](const PulseProgress&) { FAIL() << "not rank 0"; };
    with_pulse(
        comm,
        [&](PulseControl& pulse) {
          pulse.add(40, 1000);
          pulse.add(comm.rank() == comm.size() - 1 ? 1 : 60, 24);
          all_ran.arrive_and_wait();
        },
        mine);
  });
  EXPECT_EQ(last.cells, 100 * ranks - 59);
  EXPECT_EQ(last.bytes, 1024 * ranks);
  EXPECT_EQ(last.slowest_rank, ranks - 1);
}

TEST_P(PulseOnRanks, RanksMayFinishAtVeryDifferentTimes) {
  // Each rank waits for the next higher one to be long done; rank 0 is last, then the other way.
  const int ranks = GetParam();
  for (const bool upwards : {true, false}) {
    std::atomic<int> done{0};
    run_as_threads(ranks, [&](Communicator& comm) {
      const int turn = upwards ? comm.rank() : comm.size() - 1 - comm.rank();
      with_pulse(
          comm,
          [&](PulseControl& pulse) {
            while (done != turn) pulse.check();
            std::this_thread::sleep_for(milliseconds(20));
            ++done;
          },
          quick());
      EXPECT_EQ(done, ranks);
    });
  }
}

TEST_P(PulseOnRanks, CallsRunOnTheThreadOfWithPulse) {
  std::atomic<int> calls{0};
  run_as_threads(GetParam(), [&](Communicator& comm) {
    const auto main_thread = std::this_thread::get_id();
    with_pulse(comm, [&](PulseControl& pulse) {
      EXPECT_NE(std::this_thread::get_id(), main_thread);
      for (int i = 0; i < 50; ++i) {
        pulse.on_main([&] {
          EXPECT_EQ(std::this_thread::get_id(), main_thread);
          pulse.on_main([&] { ++calls; });  // one inside another doesn't wait for itself
        });
      }
    });
  });
  EXPECT_EQ(calls, 50 * GetParam());
}

TEST_P(PulseOnRanks, CallsComeFromSeveralThreadsOfTheWork) {
  std::atomic<int> calls{0};
  run_as_threads(GetParam(), [&](Communicator& comm) {
    with_pulse(comm, [&](PulseControl& pulse) {
      std::vector<std::jthread> threads;
      for (int thread = 0; thread < 3; ++thread) {
        threads.emplace_back([&] {
          for (int i = 0; i < 20; ++i) pulse.on_main([&] { ++calls; });
        });
      }
    });
  });
  EXPECT_EQ(calls, 60 * GetParam());
}

TEST_P(PulseOnRanks, WhatACallThrowsComesOutOfIt) {
  const Outcome outcome = outcome_of(GetParam(), [](PulseControl& pulse, int) {
    EXPECT_THROW(pulse.on_main([] { throw std::out_of_range("x"); }), std::out_of_range);
    pulse.on_main([] {});  // and the next one works
  });
  EXPECT_THAT(outcome.texts, Each(StrEq("nothing was thrown")));
}

TEST(Pulse, CallsWorkWhileOtherRanksAreLongDone) {
  std::atomic<int> calls{0};
  std::latch others_done(3);
  run_as_threads(4, [&](Communicator& comm) {
    with_pulse(
        comm,
        [&](PulseControl& pulse) {
          if (comm.rank() != 2) {
            others_done.count_down();
            return;
          }
          others_done.wait();
          for (int i = 0; i < 5; ++i) pulse.on_main([&] { ++calls; });
        },
        quick());
  });
  EXPECT_EQ(calls, 5);
}

TEST(Pulse, AnErrorReachesAllRanksWithItsTextAndKind) {
  for (int failing = 0; failing < 4; ++failing) {
    const Outcome outcome = outcome_of(4, [&](PulseControl& pulse, int rank) {
      if (rank == failing) throw not_found_error("Zelle-ß.h5ad: no such file");
      work_until_stopped(pulse);
    });
    EXPECT_THAT(outcome.kinds, Each(Error::Kind::not_found));
    EXPECT_THAT(outcome.texts,
                Each(StrEq("rank " + std::to_string(failing) + ": Zelle-ß.h5ad: no such file")));
  }
}

TEST(Pulse, TheLowestFailingRanksErrorWins) {
  std::latch all_failed(3);
  const Outcome outcome = outcome_of(4, [&](PulseControl& pulse, int rank) {
    if (rank == 0) work_until_stopped(pulse);
    all_failed.arrive_and_wait();
    throw input_error("from " + std::to_string(rank));
  });
  EXPECT_THAT(outcome.texts, Each(StrEq("rank 1: from 1")));
}

TEST(Pulse, AnErrorIsNotHiddenByTheStopsItCauses) {
  const Outcome outcome = outcome_of(3, [](PulseControl& pulse, int rank) {
    if (rank == 2) throw io_error("disk full");
    work_until_stopped(pulse);  // ranks 0 and 1 end by Error(stopped)
  });
  EXPECT_THAT(outcome.texts, Each(StrEq("rank 2: disk full")));
  EXPECT_THAT(outcome.kinds, Each(Error::Kind::io));
}

TEST(Pulse, ForeignExceptionsAreToldToo) {
  EXPECT_THAT(outcome_of(2,
                         [](PulseControl&, int rank) {
                           if (rank == 1) throw std::out_of_range("map::at");
                         })
                  .texts,
              Each(StrEq("rank 1: unexpected error: map::at")));
  EXPECT_THAT(outcome_of(2,
                         [](PulseControl&, int rank) {
                           if (rank == 1) throw std::bad_alloc();
                         })
                  .texts,
              Each(StrEq("rank 1: out of memory")));
}

TEST(Pulse, OneRankKeepsTheTypeOfItsException) {
  const auto comm = make_self_communicator();
  EXPECT_THROW(with_pulse(*comm, [](PulseControl&) { throw std::out_of_range("x"); }),
               std::out_of_range);
  try {
    with_pulse(*comm, [](PulseControl&) { throw input_error("plain"); });
    FAIL() << "returned";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "plain");
  }
}

TEST(Pulse, AFailedStepLeavesNothingForTheNext) {
  run_as_threads(3, [](Communicator& comm) {
    for (int step = 0; step < 100; ++step) {
      const int failing = step % 4;  // 3: nobody
      std::string text = "fine";
      try {
        with_pulse(
            comm,
            [&](PulseControl&) {
              if (comm.rank() == failing) throw input_error("step " + std::to_string(step));
            },
            quick());
      } catch (const Error& error) {
        text = error.what();
      }
      EXPECT_EQ(text, failing == 3
                          ? "fine"
                          : "rank " + std::to_string(failing) + ": step " + std::to_string(step));
    }
  });
}

TEST(Pulse, CallsFailInsteadOfHangingOnceTheStepStops) {
  const Outcome outcome = outcome_of(2, [](PulseControl& pulse, int rank) {
    if (rank == 1) throw io_error("gone");
    while (!pulse.stopping()) std::this_thread::yield();
    try {
      pulse.on_main([] { FAIL() << "ran"; });
      FAIL() << "returned";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), Error::Kind::stopped);
    }
  });
  EXPECT_THAT(outcome.texts, Each(StrEq("rank 1: gone")));
}

TEST(Pulse, CallsAlreadyWaitingFailWhenTheStepStops) {
  // Rank 0's main thread is held in one call until the other threads' calls wait behind it.
  std::atomic<int> refused{0};
  std::latch held(1);
  std::latch release(1);
  const Outcome outcome = outcome_of(2, [&](PulseControl& pulse, int rank) {
    if (rank == 1) {
      held.wait();
      throw io_error("gone");
    }
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
      pulse.on_main([&] {
        held.count_down();
        release.wait();
      });
    });
    held.wait();
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([&] {
        try {
          // Whichever of them comes first may still run; after that the step is stopping.
          for (;;) pulse.on_main([] {});
        } catch (const Error&) {
          ++refused;
        }
      });
    }
    release.count_down();
  });
  EXPECT_EQ(refused, 3);
  EXPECT_THAT(outcome.texts, Each(StrEq("rank 1: gone")));
}

TEST_F(StopRequest, ReachesAllRanks) {
  for (const int ranks : {1, 2, 4}) {
    request_stop(false);
    const Outcome outcome = outcome_of(ranks, [](PulseControl& pulse, int rank) {
      if (rank == 0) request_stop();
      work_until_stopped(pulse);
    });
    EXPECT_THAT(outcome.kinds, Each(Error::Kind::stopped));
    EXPECT_THAT(outcome.texts, Each(StrEq("stopped on request")));
  }
}

TEST_F(StopRequest, CountsEvenWhenTheWorkDidNotLook) {
  const Outcome outcome = outcome_of(2, [](PulseControl& pulse, int) {
    request_stop();
    while (!pulse.stopping()) std::this_thread::yield();
  });
  EXPECT_THAT(outcome.kinds, Each(Error::Kind::stopped));
}

TEST_F(StopRequest, ComesTooLateForAStepThatSaysSo) {
  run_as_threads(2, [](Communicator& comm) {
    PulseOptions options = quick();
    options.stop_requests = StopRequests::come_too_late;
    with_pulse(
        comm,
        [](PulseControl& pulse) {
          request_stop();
          pulse.on_main([] {});  // by then this rank has looked
          EXPECT_FALSE(pulse.stopping());
        },
        options);
  });
}

TEST(Pulse, WorkMayStopByItself) {
  const Outcome outcome = outcome_of(2, [](PulseControl& pulse, int rank) {
    if (rank == 1) throw stopped_error("budget cancelled");
    work_until_stopped(pulse);
  });
  EXPECT_THAT(outcome.kinds, Each(Error::Kind::stopped));
}

TEST(Pulse, ASilentRankIsNamedAndTheJobAborted) {
  auto options = quick();
  options.silence = milliseconds(60);
  for (const int silent : {0, 2}) {
    std::latch others_told(2);
    std::mutex mutex;
    std::vector<std::string> texts;
    EXPECT_THROW(run_as_threads(3,
                                [&](Communicator& comm) {
                                  if (comm.rank() == silent) return others_told.wait();
                                  try {
                                    with_pulse(comm, work_until_stopped, options);
                                  } catch (const Error& error) {
                                    const std::lock_guard lock(mutex);
                                    texts.emplace_back(error.what());
                                  }
                                  others_told.count_down();
                                  throw comm_error("as the program would");
                                }),
                 Error);
    ASSERT_EQ(texts.size(), 2U);
    EXPECT_THAT(texts.front(),
                StartsWith("rank " + std::to_string(silent) + " has said nothing for "));
  }
}

TEST(Pulse, ARankInALongCallIsNotSilent) {
  auto options = quick();
  options.silence = milliseconds(60);
  for (const int busy : {0, 1}) {
    const Outcome outcome = outcome_of(
        2,
        [&](PulseControl& pulse, int rank) {
          if (rank != busy) return;
          pulse.on_main([] { std::this_thread::sleep_for(milliseconds(300)); });
        },
        options);
    EXPECT_THAT(outcome.texts, Each(StrEq("nothing was thrown")));
  }
}

TEST(Pulse, ARankThatEndsWithoutTheStepIsAnErrorOnTheOthers) {
  for (const int leaver : {0, 2}) {
    std::atomic<int> told{0};
    EXPECT_THROW(run_as_threads(3,
                                [&](Communicator& comm) {
                                  if (comm.rank() == leaver) throw std::domain_error("elsewhere");
                                  try {
                                    with_pulse(comm, work_until_stopped, quick());
                                  } catch (const Error& error) {
                                    EXPECT_EQ(error.kind(), Error::Kind::comm);
                                    EXPECT_EQ(std::string(error.what()),
                                              "rank " + std::to_string(leaver) +
                                                  ": ended before the step was done");
                                    ++told;
                                    throw;
                                  }
                                }),
                 std::domain_error);
    EXPECT_EQ(told, 2);
  }
}

}  // namespace
}  // namespace cellmill
