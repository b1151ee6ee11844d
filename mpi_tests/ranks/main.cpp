#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "cellmill/comm/mpi.hpp"
#include "rank_world.hpp"

namespace cellmill {
namespace {

std::unique_ptr<Communicator> world;  // gtest hands no arguments to tests

/// Makes a failure on any rank a failure of the test on every rank. Only rank 0 prints what went
/// well; each rank prints what failed.
class RankListener : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    if (world->rank() != 0) {
      std::fputs(fmt::format("rank {}: {}:{}: {}\n", world->rank(),
                             result.file_name() == nullptr ? "?" : result.file_name(),
                             result.line_number(), result.message())
                     .c_str(),
                 stderr);
    }
    // The test was left early, perhaps on this rank alone: the ranks may be out of step.
    if (result.fatally_failed() && world->size() > 1) {
      if (world->rank() == 0)
        std::fputs(fmt::format("rank 0: {}\n", result.message()).c_str(), stderr);
      world->abort(fmt::format("rank {}: a test ended early, so all end", world->rank()), 1);
    }
  }

  void OnTestEnd(const ::testing::TestInfo& info) override {
    const bool here = info.result()->Failed();
    double anywhere = here ? 1.0 : 0.0;
    world->all_reduce_max({&anywhere, 1});
    if (anywhere > 0 && !here) ADD_FAILURE() << "failed on another rank";
  }
};

}  // namespace

Communicator& rank_world() { return *world; }

void end_rank_world() { world.reset(); }

}  // namespace cellmill

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  try {
    // Small parts: every collective of some length is split, as it would be only above 512 MB.
    cellmill::MpiOptions options;
    options.part = 4096;
    // Where a rank is killed (comm_faults.sh), so that it is noticed soon.
    if (::testing::GTEST_FLAG(filter).find("IsKilled") != std::string::npos) {
      options.silence = std::chrono::seconds(3);
    }
    cellmill::world = cellmill::make_mpi_communicator(options);
    auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
    if (cellmill::world->rank() != 0) delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new cellmill::RankListener);
    const int failed = RUN_ALL_TESTS();
    cellmill::world.reset();
    return failed;
  } catch (const std::exception& error) {
    std::fputs(fmt::format("{}\n", error.what()).c_str(), stderr);
    return 1;
  }
}
