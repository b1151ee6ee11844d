#include "comm/parts.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace cellmill {
namespace {

using Parts = std::vector<std::pair<std::size_t, std::size_t>>;

Parts parts_of(std::size_t total, std::size_t limit) {
  Parts parts;
  for_each_part(total, limit,
                [&](std::size_t begin, std::size_t count) { parts.emplace_back(begin, count); });
  return parts;
}

TEST(Parts, NothingHasNoParts) { EXPECT_EQ(parts_of(0, 10), Parts{}); }

TEST(Parts, WhatFitsStaysWhole) {
  EXPECT_EQ(parts_of(1, 10), (Parts{{0, 1}}));
  EXPECT_EQ(parts_of(10, 10), (Parts{{0, 10}}));
}

TEST(Parts, TheLastOneIsShorter) {
  EXPECT_EQ(parts_of(11, 10), (Parts{{0, 10}, {10, 1}}));
  EXPECT_EQ(parts_of(30, 10), (Parts{{0, 10}, {10, 10}, {20, 10}}));
}

TEST(Parts, BeyondAnInt) {
  const std::size_t total = std::size_t{5} << 30;
  const Parts parts = parts_of(total, std::size_t{1} << 26);
  EXPECT_EQ(parts.size(), 80U);
  EXPECT_EQ(parts.back().first + parts.back().second, total);
}

}  // namespace
}  // namespace cellmill
