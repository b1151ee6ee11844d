#include "cellmill/storage/scratch_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

TEST(ScratchFile, LeavesNoNameBehind) {
  const auto folder = std::filesystem::temp_directory_path() / "cellmill-scratch-test";
  std::filesystem::create_directory(folder);
  const ScratchFile scratch(folder);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove(folder);
}

TEST(ScratchFile, NamesTheFolderItCannotUse) {
  try {
    const ScratchFile scratch("/nonexistent/scratch");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::io);
    EXPECT_NE(std::string(error.what()).find("/nonexistent/scratch"), std::string::npos);
  }
}

}  // namespace
}  // namespace cellmill
