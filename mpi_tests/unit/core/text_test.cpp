#include "cellmill/core/text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

TEST(Text, GroupsDigits) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(grouped(-123), "-123");
}

TEST(Text, WritesBytesAndSeconds) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(1500), "1.5 kB");
  EXPECT_EQ(human_bytes(37'000'000), "37 MB");
  EXPECT_EQ(human_bytes(999'999), "1.0 MB");
  EXPECT_EQ(human_seconds(0.0451), "45 ms");
  EXPECT_EQ(human_seconds(12.34), "12.3 s");
  EXPECT_EQ(human_seconds(200), "3 min 20 s");
  EXPECT_EQ(human_seconds(3840), "1 h 04 min");
}

TEST(Text, ParsesBytes) {
  EXPECT_EQ(parse_bytes("8G"), std::int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("400M"), std::int64_t{400} << 20);
  EXPECT_EQ(parse_bytes("1.5GiB"), std::int64_t{3} << 29);
  EXPECT_EQ(parse_bytes("123456"), 123456);
  EXPECT_EQ(parse_bytes("2kb"), 2048);
  for (const char* wrong : {"", "G", "8X", "-1G", "8 G", "nan", "1e30T"}) {
    EXPECT_THROW((void)parse_bytes(wrong), Error) << wrong;
  }
}

TEST(Text, FindsNearestNames) {
  const std::vector<std::string> names = {"pass_filter", "cell_line", "drug", "sample"};
  EXPECT_THAT(nearest_names("pass_filtr", names), testing::ElementsAre("pass_filter"));
  EXPECT_THAT(nearest_names("Drugs", names), testing::ElementsAre("drug"));
  EXPECT_TRUE(nearest_names("xyzzyxyzzy", names).empty());
  EXPECT_TRUE(nearest_names("", std::vector<std::string>{}).empty());
}

TEST(Error, ReadsFromTheOutsideIn) {
  try {
    with_context("plate7.h5ad",
                 [] { with_context("X/indices", [] { throw input_error("ends early"); }); });
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "plate7.h5ad: X/indices: ends early");
    EXPECT_EQ(exit_status(error.kind()), 1);
  }
  EXPECT_EQ(exit_status(Error::Kind::usage), 2);
  EXPECT_EQ(exit_status(Error::Kind::stopped), 1);
  EXPECT_EQ(exit_status(Error::Kind::resumable), 75);
}

TEST(Printable, LeavesCharactersAndReplacesOtherBytes) {
  EXPECT_EQ(printable("plate é, 細胞, 𝛼"), "plate é, 細胞, 𝛼");
  EXPECT_EQ(printable("a\xA0z"), "a\uFFFDz");
  EXPECT_EQ(printable("\xC3"), "\uFFFD");                      // cut short
  EXPECT_EQ(printable("\xC0\xAF"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(printable("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(printable("\xF4\x90\x80\x80").size(), 12U);        // beyond Unicode
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, LeavesNoControlCharactersButTabAndLineFeed) {
  EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable("a\x1B[31mb"), "a\uFFFD[31mb");  // would colour what follows
  EXPECT_EQ(printable("1\r2\v3\x7F"), "1\uFFFD2\uFFFD3\uFFFD");
  EXPECT_EQ(printable("\xC2\x85|\xC2\x9F|\xC2\xA0"), "\uFFFD|\uFFFD|\u00A0");
  EXPECT_EQ(printable("\u2028|\u2029|\u202A"), "\uFFFD|\uFFFD|\u202A");
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\uFFFDb");
  EXPECT_EQ(valid_utf8("a\x1B\xA0\r\u2028"), "a\x1B\uFFFD\r\u2028");
}

}  // namespace
}  // namespace cellmill
