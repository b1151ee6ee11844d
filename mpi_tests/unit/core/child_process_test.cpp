#include "cellmill/core/child_process.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"

namespace cellmill {
namespace {

TEST(ChildProcess, LinesComeAsTheyAreWritten) {
  std::vector<std::string> lines;
  const ChildEnd end = run_child({"sh", "-c", "echo one; echo two; exit 3"}, {},
                                 [&](std::string_view line) { lines.emplace_back(line); });
  EXPECT_EQ(lines, (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(end.how, ChildEnd::How::exited);
  EXPECT_EQ(end.code, 3);
}

TEST(ChildProcess, ASilentOneIsEnded) {
  const ChildEnd end = run_child({"sleep", "600"}, {0, 0.3}, [](std::string_view) {});
  EXPECT_EQ(end.how, ChildEnd::How::silent);
}

TEST(ChildProcess, IsEndedWhenAStopIsAskedFor) {
  try {
    run_child({"sh", "-c", "echo begun; exec sleep 600"}, {},
              [](std::string_view) { request_stop(); });
    ADD_FAILURE() << "the child came to its end";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::stopped);
  }
  request_stop(false);
}

}  // namespace
}  // namespace cellmill
