#include "cellmill/comm/communicator.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <tuple>

#include "cellmill/core/error.hpp"
#include "communicator_suite.hpp"

namespace cellmill {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StrEq;

/// 0 ranks stands for the self communicator.
class CommunicatorSuite : public ::testing::TestWithParam<std::tuple<CommunicatorCase, int>> {};

TEST_P(CommunicatorSuite, Holds) {
  const auto& [what, ranks] = GetParam();
  if (ranks == 0) {
    what.run(*make_self_communicator());
  } else {
    run_as_threads(ranks, what.run);
  }
}

std::string case_name(const ::testing::TestParamInfo<CommunicatorSuite::ParamType>& info) {
  const auto& [what, ranks] = info.param;
  return ranks == 0 ? fmt::format("{}_self", what.name)
                    : fmt::format("{}_threads{}", what.name, ranks);
}

INSTANTIATE_TEST_SUITE_P(SelfAndThreads, CommunicatorSuite,
                         ::testing::Combine(::testing::ValuesIn(communicator_cases()),
                                            ::testing::Range(0, 5)),
                         case_name);

std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::comm);
    return error.what();
  }
  return "nothing was thrown";
}

TEST(SelfCommunicator, ReceivingWhatWasNeverSentIsAnErrorNotAHang) {
  EXPECT_THAT(message_of([] { (void)make_self_communicator()->receive(0); }),
              HasSubstr("never sent"));
}

TEST(ThreadCommunicator, OneRanksExceptionEndsTheOthersCollectives) {
  std::atomic<int> told{0};
  EXPECT_THROW(run_as_threads(4,
                              [&](Communicator& comm) {
                                if (comm.rank() == 2) throw std::domain_error("broken");
                                try {
                                  std::int64_t one = 1;
                                  for (;;) comm.all_reduce_sum({&one, 1});
                                } catch (const Error& error) {
                                  EXPECT_EQ(error.kind(), Error::Kind::comm);
                                  EXPECT_THAT(error.what(), HasSubstr("ended while rank"));
                                  ++told;
                                  throw;
                                }
                              }),
               std::domain_error);
  EXPECT_EQ(told, 3);
}

TEST(ThreadCommunicator, ARankThatReturnsEarlyEndsTheOthersWait) {
  EXPECT_THAT(message_of([] {
                run_as_threads(2, [](Communicator& comm) {
                  if (comm.rank() == 1) (void)comm.receive(0);
                });
              }),
              StrEq("rank 0 ended while rank 1 waited for it in receive"));
}

TEST(ThreadCommunicator, WhatWasSentBeforeTheEndStillArrives) {
  run_as_threads(2, [](Communicator& comm) {
    const auto bytes = communicator_suite::pattern(10, 0);
    if (comm.rank() == 0) {
      comm.send(bytes, 1);
      comm.post(bytes, 1);
      return;
    }
    EXPECT_EQ(comm.receive(0), bytes);
    while (!comm.has_left(0)) {
      const auto posted = comm.poll();
      if (posted) {
        EXPECT_EQ(posted->bytes, bytes);
      }
    }
    EXPECT_FALSE(comm.poll().has_value());
  });
}

TEST(ThreadCommunicator, MismatchedCollectivesAreNamed) {
  EXPECT_THAT(
      message_of([] {
        run_as_threads(2, [](Communicator& comm) {
          std::int64_t value = 0;
          if (comm.rank() == 0) {
            comm.all_reduce_sum({&value, 1});
          } else {
            (void)comm.exscan_sum(value);
          }
        });
      }),
      StrEq("rank 0 called all_reduce_sum (root 0) while rank 1 called exscan_sum (root 0)"));
  EXPECT_THAT(message_of([] {
                run_as_threads(3, [](Communicator& comm) {
                  std::vector<std::int64_t> values(comm.rank() == 2 ? 3 : 2);
                  comm.all_reduce_sum(values);
                });
              }),
              StrEq("all_reduce_sum: rank 0 brought 16 bytes, rank 2 brought 24"));
}

TEST(ThreadCommunicator, AbortThrowsForTests) {
  EXPECT_THAT(message_of([] { run_as_threads(1, [](Communicator& comm) { comm.abort("x", 1); }); }),
              StrEq("x"));
}

}  // namespace
}  // namespace cellmill
