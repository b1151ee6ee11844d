#include "cellmill/storage/line_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"
#include "temp_folder.hpp"

namespace cellmill {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class LineReaderTest : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, std::string_view bytes) {
    std::ofstream(folder_.path() / name, std::ios::binary) << bytes;
    return folder_.path() / name;
  }
  static std::string gzip(const std::string& text) {
    const Bytes bytes = deflate_gzip(std::as_bytes(std::span(text)), 4);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static std::vector<std::string> lines(const std::filesystem::path& path) {
    LineReader reader(path);
    std::vector<std::string> lines;
    while (const auto line = reader.next()) lines.emplace_back(*line);
    return lines;
  }
  std::string message(const std::filesystem::path& path) {
    try {
      lines(path);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  TempFolder folder_;
};

TEST_F(LineReaderTest, GivesLinesWithoutTheirEnds) {
  EXPECT_THAT(lines(write("a.txt", "one\ntwo\r\n\nlast")), ElementsAre("one", "two", "", "last"));
  EXPECT_THAT(lines(write("b.txt", "one\n")), ElementsAre("one"));
  EXPECT_THAT(lines(write("c.txt", "")), IsEmpty());
}

TEST_F(LineReaderTest, ReadsGzipOfSeveralMembers) {
  EXPECT_THAT(lines(write("a.gz", gzip("one\nt") + gzip("wo\n"))), ElementsAre("one", "two"));
}

TEST_F(LineReaderTest, LinesMayBeLongerThanTheBuffer) {
  const std::string text(3'000'000, 'x');
  const auto found = lines(write("a.txt", "a\n" + text + "\nb\n"));
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[1], text);
  EXPECT_EQ(found[2], "b");
}

TEST_F(LineReaderTest, SaysWhereItIs) {
  LineReader reader(write("a.txt", "one\ntwo\n"));
  (void)reader.next();
  (void)reader.next();
  EXPECT_EQ(reader.location(), folder_.path().filename().string() + "/a.txt: line 2");
}

TEST_F(LineReaderTest, CutAndCorruptGzipIsAnError) {
  std::string text;
  for (int i = 0; i < 10'000; ++i) text += std::to_string(i) + "\n";
  std::string bytes = gzip(text);
  EXPECT_THAT(message(write("cut.gz", bytes.substr(0, bytes.size() / 2))),
              HasSubstr("cut.gz: gzip stream ends early"));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x55);
  EXPECT_THAT(message(write("bad.gz", bytes)), HasSubstr("bad.gz: "));
  EXPECT_THAT(message(folder_.path() / "none.gz"), HasSubstr("no such file"));
}

}  // namespace
}  // namespace cellmill
