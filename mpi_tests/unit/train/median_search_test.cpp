#include "train/median_search.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/core/ranges.hpp"

namespace cellmill {
namespace {

using Numbers = std::vector<std::vector<double>>;  // of each group

constexpr MedianSearch::Expected expected{1e-4, 1e4, 100'000};

double sorted_median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

/// Shows the numbers in pieces, from several threads.
MedianSearch searched(const Numbers& numbers, std::int64_t memory) {
  MedianSearch search(static_cast<std::int32_t>(numbers.size()), expected, memory);
  Arena arena(4);
  while (search.searching()) {
    constexpr std::int64_t pieces = 5;
    arena.for_each(pieces, [&](std::int64_t piece) {
      for (std::size_t group = 0; group < numbers.size(); ++group) {
        const Range part =
            even_part(static_cast<std::int64_t>(numbers[group].size()), pieces, piece);
        search.add(static_cast<std::int32_t>(group),
                   std::span(numbers[group])
                       .subspan(static_cast<std::size_t>(part.begin),
                                static_cast<std::size_t>(part.size())));
      }
    });
    search.end_round();
  }
  return search;
}

void expect_medians(const Numbers& numbers, std::int64_t memory) {
  const std::vector<double> found = searched(numbers, memory).medians();
  ASSERT_EQ(found.size(), numbers.size());
  for (std::size_t group = 0; group < numbers.size(); ++group) {
    const double median = sorted_median(numbers[group]);
    EXPECT_TRUE(found[group] == median || (std::isnan(found[group]) && std::isnan(median)))
        << "group " << group << ": " << found[group] << ", not " << median;
  }
}

/// As genes are: many with few numbers, few with many.
Numbers like_genes() {
  const CounterRng rng(1, 2);
  Numbers numbers(300);
  for (std::size_t group = 0; group < numbers.size(); ++group) {
    const std::uint64_t size = group < 5 ? 20'000 : group % 7;
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t at = (group << 32) + 2 * i;
      const double count = std::floor(1 / (rng.uniform(at) + 1e-3));
      numbers[group].push_back(count / std::floor(500 + 9000 * rng.uniform(at + 1)) * 1e4);
    }
  }
  return numbers;
}

TEST(MedianSearch, IsExactWhateverTheMemory) {
  const Numbers numbers = like_genes();
  for (const std::int64_t memory : {0, 100, 50'000, 300'000, 100'000'000}) {
    expect_medians(numbers, memory);
  }
}

TEST(MedianSearch, LessMemoryTakesMoreRoundsAndAFewAreEnough) {
  const Numbers numbers = like_genes();
  EXPECT_EQ(searched(numbers, 100'000'000).rounds(), 2);
  EXPECT_GT(searched(numbers, 40'000).rounds(), 2);
  EXPECT_LE(searched(numbers, 0).rounds(), 17);  // four bits a round
}

TEST(MedianSearch, TellsNumbersApartThatDifferInTheirLastBit) {
  const double one = 12.5;
  const double next = std::nextafter(one, 13);
  for (const std::int64_t memory : {0, 1'000'000}) {
    expect_medians({{one, one, next}, {next, one, next}, {one, next}}, memory);
  }
}

TEST(MedianSearch, MiddlesMayBeFarApart) {
  Numbers numbers{std::vector<double>(1000, 1), std::vector<double>(1000, 7)};
  numbers[0].insert(numbers[0].end(), 1000, 9000.25);
  for (const std::int64_t memory : {0, 1'000'000}) expect_medians(numbers, memory);
}

TEST(MedianSearch, NumbersMayBeOutsideOfWhatWasExpected) {
  const double tiny = std::numeric_limits<double>::denorm_min();
  const double huge = std::numeric_limits<double>::max();
  for (const std::int64_t memory : {0, 1'000'000}) {
    expect_medians({{tiny, tiny, 1}, {1, huge, huge}, {huge}, {tiny, 2 * tiny, 3 * tiny}}, memory);
  }
}

TEST(MedianSearch, GroupsWithoutNumbersHaveNone) {
  expect_medians({{}, {3}, {}}, 1000);
  EXPECT_TRUE(searched({}, 1000).medians().empty());
}

TEST(MedianSearch, NoticesNumbersThatChange) {
  MedianSearch search(1, expected, 0);
  search.add(0, std::vector<double>{1, 2, 3});
  search.end_round();
  search.add(0, std::vector<double>{2.1});
  EXPECT_THAT([&] { search.end_round(); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("changed while they were read")));
}

}  // namespace
}  // namespace cellmill
