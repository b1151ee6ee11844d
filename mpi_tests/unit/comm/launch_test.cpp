#include "cellmill/comm/launch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using ::testing::HasSubstr;

/// Each test begins without a launcher, even when the tests run under one.
class Launch : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* variable :
         {"SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "PMIX_RANK",
          "PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_RANK"}) {
      unsetenv(variable);
    }
  }
  static void set(const char* variable, const char* value) { setenv(variable, value, 1); }
};

TEST_F(Launch, WithoutALauncherNothingIsSaid) {
  EXPECT_EQ(launched_tasks(), std::nullopt);
  EXPECT_NO_THROW(require_one_world(1));
}

TEST_F(Launch, EachLauncherIsKnown) {
  for (const char* variable : {"SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE"}) {
    SetUp();
    set(variable, "3");
    EXPECT_EQ(launched_tasks(), 3) << variable;
  }
}

TEST_F(Launch, TasksOfASrunWithoutPmiAreRefusedBeforeMpiStarts) {
  EXPECT_NO_THROW(require_a_way_to_join());
  set("SLURM_STEP_NUM_TASKS", "4");
  EXPECT_THAT([] { require_a_way_to_join(); },
              ::testing::ThrowsMessage<Error>(HasSubstr("srun --mpi=pmix")));
  for (const char* way : {"PMIX_RANK", "PMI_RANK", "PMI_FD", "OMPI_COMM_WORLD_RANK"}) {
    SetUp();
    set("SLURM_STEP_NUM_TASKS", "4");
    set(way, "0");
    EXPECT_NO_THROW(require_a_way_to_join()) << way;
  }
}

TEST_F(Launch, SlurmNtasksIsNotALaunch) {
  set("SLURM_NTASKS", "8");
  EXPECT_EQ(launched_tasks(), std::nullopt);
}

TEST_F(Launch, TheLargestOfNestedLaunchersCounts) {
  set("SLURM_STEP_NUM_TASKS", "4");
  set("OMPI_COMM_WORLD_SIZE", "1");
  EXPECT_EQ(launched_tasks(), 4);
}

TEST_F(Launch, NonsenseIsIgnored) {
  for (const char* text : {"", "0", "-2", "4x", "2(x3)", "99999999999"}) {
    set("PMI_SIZE", text);
    EXPECT_EQ(launched_tasks(), std::nullopt) << text;
  }
}

TEST_F(Launch, SeveralTasksThatSeeOneRankAreRefused) {
  set("SLURM_STEP_NUM_TASKS", "4");
  EXPECT_NO_THROW(require_one_world(4));
  try {
    require_one_world(1);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::usage);
    EXPECT_THAT(error.what(), HasSubstr("4 tasks"));
    EXPECT_THAT(error.what(), HasSubstr("mpirun"));
  }
}

TEST_F(Launch, OneTaskIsFine) {
  set("OMPI_COMM_WORLD_SIZE", "1");
  EXPECT_NO_THROW(require_one_world(1));
}

}  // namespace
}  // namespace cellmill
