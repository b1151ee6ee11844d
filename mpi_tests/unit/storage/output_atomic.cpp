#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/output.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

void write_text(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

std::string read_text(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::ptrdiff_t entries(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

TEST(AtomicOutput, AFileAppearsAtCommit) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out.h5ad";
  {
    AtomicOutput output(path, IfExists::refuse);
    EXPECT_EQ(output.partial(), folder.path() / ".out.h5ad.partial");
    EXPECT_EQ(output.partial(), partial_path(path));
    write_text(output.partial(), "new");
    EXPECT_FALSE(fs::exists(path));
    output.commit();
  }
  EXPECT_EQ(read_text(path), "new");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicOutput, AFolderAppearsAtCommit) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out.zarr/";
  AtomicOutput output(path, IfExists::refuse);
  write_text(output.partial() / "X/c/0", "chunk");
  output.commit();
  EXPECT_EQ(read_text(folder.path() / "out.zarr/X/c/0"), "chunk");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicOutput, NothingIsLeftWithoutCommit) {
  const TempFolder folder;
  {
    const AtomicOutput output(folder.path() / "out.zarr", IfExists::refuse);
    write_text(output.partial() / "X/c/0", "chunk");
  }
  EXPECT_EQ(entries(folder.path()), 0);
}

TEST(AtomicOutput, WhatAnEarlierRunLeftIsRemoved) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out.zarr";
  write_text(partial_path(path) / "old", "left");
  const AtomicOutput output(path, IfExists::refuse);
  EXPECT_FALSE(fs::exists(output.partial()));
}

TEST(AtomicOutput, AnExistingOutputIsRefused) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out.h5ad";
  write_text(path, "old");
  try {
    const AtomicOutput output(path, IfExists::refuse);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::input);
    EXPECT_THAT(error.what(), testing::HasSubstr("--overwrite"));
    EXPECT_THAT(error.what(), testing::HasSubstr(path.string()));
  }
  EXPECT_EQ(read_text(path), "old");
}

TEST(AtomicOutput, OverwritingReplacesOnlyAtCommit) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out";
  // Every pair of file and folder, as old and new.
  for (const bool old_folder : {false, true}) {
    for (const bool new_folder : {false, true}) {
      fs::remove_all(path);
      write_text(old_folder ? path / "a" : path, "old");
      {
        AtomicOutput output(path, IfExists::overwrite);
        write_text(new_folder ? output.partial() / "b" : output.partial(), "new");
        EXPECT_EQ(read_text(old_folder ? path / "a" : path), "old");
        output.commit();
      }
      EXPECT_EQ(read_text(new_folder ? path / "b" : path), "new");
      EXPECT_FALSE(new_folder && fs::exists(path / "a"));
      EXPECT_EQ(entries(folder.path()), 1);
    }
  }
}

TEST(AtomicOutput, OverwritingWithoutCommitKeepsTheOldOutput) {
  const TempFolder folder;
  const fs::path path = folder.path() / "out.zarr";
  write_text(path / "a", "old");
  {
    const AtomicOutput output(path, IfExists::overwrite);
    write_text(output.partial() / "b", "new");
  }
  EXPECT_EQ(read_text(path / "a"), "old");
  EXPECT_EQ(entries(folder.path()), 1);
}

TEST(AtomicOutput, AMissingFolderIsAnError) {
  const TempFolder folder;
  try {
    const AtomicOutput output(folder.path() / "nowhere/out.zarr", IfExists::refuse);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), Error::Kind::io);
    EXPECT_THAT(error.what(), testing::HasSubstr("nowhere"));
  }
}

TEST(AtomicOutput, CommitWithoutAnOutputIsAnError) {
  const TempFolder folder;
  AtomicOutput output(folder.path() / "out.zarr", IfExists::refuse);
  EXPECT_THROW(output.commit(), Error);
}

}  // namespace
}  // namespace cellmill
