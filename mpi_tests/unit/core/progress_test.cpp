#include "cellmill/core/progress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "cellmill/core/log.hpp"

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

TEST(Progress, InTheJsonLogItIsALineWithNumbers) {
  set_log_style(LogStyle::json);
  const nlohmann::json line = nlohmann::json::parse(told(ProgressStyle::log));
  set_log_style(LogStyle::text);
  EXPECT_EQ(line.at("what"), "pass 1/3 \"counts\"");
  EXPECT_EQ(line.at("level"), "info");
  EXPECT_EQ(line.at("done"), 5);
  EXPECT_EQ(line.at("total"), 10);
  EXPECT_GT(line.at("cells_per_second"), 0);
  EXPECT_GT(line.at("seconds_left"), 0);
  EXPECT_THAT(line.at("message").get<std::string>(), testing::HasSubstr("5 of 10 cells (50%)"));
}

TEST(Log, JsonTakesAnyBytes) {
  testing::internal::CaptureStderr();
  set_log_style(LogStyle::json);
  log_warning("caf\xe9 \"\n");
  log_failure("no", 75, "stopped");
  set_log_style(LogStyle::text);
  std::istringstream lines(testing::internal::GetCapturedStderr());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const nlohmann::json warning = nlohmann::json::parse(line);
  EXPECT_EQ(warning.at("level"), "warning");
  EXPECT_EQ(warning.at("message"), "caf\xEF\xBF\xBD \"\n");
  ASSERT_TRUE(std::getline(lines, line));
  const nlohmann::json failure = nlohmann::json::parse(line);
  EXPECT_EQ(failure.at("kind"), "stopped");
  EXPECT_EQ(failure.at("status"), 75);
}

TEST(Progress, SwitchedOffItIsSilent) { EXPECT_EQ(told(ProgressStyle::none), ""); }

}  // namespace
}  // namespace cellmill
