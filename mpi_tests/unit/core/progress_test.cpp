#include "cellmill/core/progress.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace cellmill {
namespace {

std::string told(ProgressStyle style) {
  testing::internal::CaptureStderr();
  set_progress_style(style);
  ProgressLine line("pass 1/3 \"counts\"", 10);
  line.show(5, 70);
  line.finish();
  set_progress_style(ProgressStyle::text);
  return testing::internal::GetCapturedStderr();
}

TEST(Progress, ToldToAProgramItEndsWithTheLastState) {
  const nlohmann::json state = nlohmann::json::parse(told(ProgressStyle::json)).at("progress");
  EXPECT_EQ(state.at("name"), "pass 1/3 \"counts\"");
  EXPECT_EQ(state.at("total"), 10);
  EXPECT_EQ(state.at("done"), 5);
  EXPECT_EQ(state.at("bytes"), 70);
  EXPECT_EQ(state.at("finished"), true);
}

TEST(Progress, SwitchedOffItIsSilent) { EXPECT_EQ(told(ProgressStyle::none), ""); }

}  // namespace
}  // namespace cellmill
