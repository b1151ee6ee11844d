#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cellmill/comm/launch.hpp"
#include "cellmill/comm/mpi.hpp"
#include "communicator_suite.hpp"
#include "rank_world.hpp"

namespace cellmill {
namespace {

class MpiCommunicatorSuite : public ::testing::TestWithParam<CommunicatorCase> {};

TEST_P(MpiCommunicatorSuite, Holds) { GetParam().run(rank_world()); }

INSTANTIATE_TEST_SUITE_P(Mpi, MpiCommunicatorSuite, ::testing::ValuesIn(communicator_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(MpiCommunicator, IsOneWorld) {
  EXPECT_TRUE(have_mpi());
  EXPECT_EQ(launched_tasks().value_or(1), rank_world().size());
  EXPECT_NO_THROW(require_one_world(rank_world().size()));
}

TEST(MpiCommunicator, TellsWhatTalkingCost) {
  const Communicator::Cost before = rank_world().cost();
  std::vector<std::int64_t> values(10'000, 1);  // in three parts
  rank_world().all_reduce_sum(values);
  const Communicator::Cost after = rank_world().cost();
  EXPECT_EQ(after.bytes - before.bytes, 80'000);
  EXPECT_GT(after.waiting, before.waiting);
  EXPECT_GT(after.moving, before.moving);
  EXPECT_EQ(after.seconds(), after.waiting + after.moving);
}

TEST(MpiCommunicator, StartsOnlyOnce) { EXPECT_THROW((void)make_mpi_communicator(), Error); }

}  // namespace
}  // namespace cellmill
