#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace cellmill {

/// A published file beside the repository; empty where it is not there, which fails the test in CI.
inline std::filesystem::path shared_file(const std::string& name) {
  const auto path = std::filesystem::path(CELLMILL_SHARED_DATA) / name;
  if (std::filesystem::exists(path)) return path;
  const char* ci = std::getenv("CI");
  if (ci != nullptr && std::string(ci) == "true")
    ADD_FAILURE() << name << " is not in shared/data beside the repository";
  return {};
}

}  // namespace cellmill

/// Sets `variable`, or skips the test visibly.
#define CELLMILL_SHARED_FILE(variable, name)                          \
  const std::filesystem::path variable = cellmill::shared_file(name); \
  if (variable.empty()) GTEST_SKIP() << (name) << " is not in shared/data beside the repository"
