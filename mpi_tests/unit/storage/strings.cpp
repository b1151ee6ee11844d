#include "cellmill/storage/strings.hpp"

#include <gtest/gtest.h>

namespace cellmill {
namespace {

TEST(Strings, KeepOrderAndBytes) {
  Strings strings;
  EXPECT_TRUE(strings.empty());
  EXPECT_EQ(strings.bytes(), 0);
  strings.push_back("α");
  strings.push_back("");
  strings.push_back(std::string_view("a\0b", 3));
  EXPECT_EQ(strings.size(), 3);
  EXPECT_EQ(strings[0], "α");
  EXPECT_EQ(strings[1], "");
  EXPECT_EQ(strings[2].size(), 3U);
  EXPECT_EQ(strings.bytes(), 5);
}

TEST(Strings, AppendingJoins) {
  const std::vector<std::string> first = {"a", "bc"};
  const std::vector<std::string> second = {"", "def"};
  Strings joined{std::span(first)};
  joined.append(Strings());
  joined.append(Strings{std::span(second)});
  EXPECT_EQ(joined.to_vector(), (std::vector<std::string>{"a", "bc", "", "def"}));
}

TEST(Strings, AppendingItselfDoubles) {
  const std::vector<std::string> values = {"x", "yz"};
  Strings strings{std::span(values)};
  strings.append(strings);
  EXPECT_EQ(strings.to_vector(), (std::vector<std::string>{"x", "yz", "x", "yz"}));
}

TEST(Strings, EqualByContent) {
  const std::vector<std::string> values = {"ab", "c"};
  const std::vector<std::string> other = {"a", "bc"};
  EXPECT_EQ(Strings{std::span(values)}, Strings{std::span(values)});
  EXPECT_NE(Strings{std::span(values)}, Strings{std::span(other)});
}

}  // namespace
}  // namespace cellmill
