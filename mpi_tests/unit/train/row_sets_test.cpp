#include "cellmill/train/row_sets.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

using Codes = std::vector<std::int64_t>;
using Shares = std::vector<Share>;

std::vector<std::int64_t> all_rows(const std::vector<RowSet>& sets) {
  std::vector<std::int64_t> rows;
  for (const RowSet& set : sets) {
    EXPECT_TRUE(std::is_sorted(set.rows.begin(), set.rows.end()));
    rows.insert(rows.end(), set.rows.begin(), set.rows.end());
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<std::int64_t> rows_up_to(std::size_t n) {
  std::vector<std::int64_t> rows(n);
  for (std::size_t i = 0; i < n; ++i) rows[i] = static_cast<std::int64_t>(i);
  return rows;
}

/// Groups of quite different sizes, their rows mixed.
Codes mixed_groups(std::int64_t groups, std::size_t rows) {
  const CounterRng rng(5, 5);
  Codes codes(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    const double u = rng.uniform(i);
    codes[i] = static_cast<std::int64_t>(u * u * static_cast<double>(groups));
  }
  return codes;
}

template <class Make>
std::string message(Make&& make) {
  try {
    (void)make();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

TEST(SplitRows, GivesEachSetItsFractionDisjointAndComplete) {
  const Shares shares{{"train", .8}, {"val", .1}, {"test", .1}};
  for (const std::int64_t n : {1, 2, 9, 1'003}) {
    const auto sets = split_rows(n, shares, 3);
    EXPECT_EQ(all_rows(sets), rows_up_to(static_cast<std::size_t>(n)));
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(sets[i].name, shares[i].name);
      EXPECT_NEAR(static_cast<double>(sets[i].rows.size()),
                  shares[i].fraction * static_cast<double>(n), 1);
    }
  }
}

TEST(SplitRows, IsRandomAndRepeatable) {
  const Shares shares{{"a", .5}, {"b", .5}};
  const auto one = split_rows(10'000, shares, 1);
  EXPECT_EQ(split_rows(10'000, shares, 1)[0].rows, one[0].rows);
  const auto other = split_rows(10'000, shares, 2);
  std::vector<std::int64_t> both;
  std::set_intersection(one[0].rows.begin(), one[0].rows.end(), other[0].rows.begin(),
                        other[0].rows.end(), std::back_inserter(both));
  EXPECT_NEAR(static_cast<double>(both.size()), 2'500, 150);  // 5 standard deviations: 125
  const auto half = std::lower_bound(one[0].rows.begin(), one[0].rows.end(), 5'000);
  EXPECT_NEAR(static_cast<double>(half - one[0].rows.begin()), 2'500, 150);
}

TEST(SplitRows, LeavesOutWhatNoSetWants) {
  const auto sets = split_rows(1'000, Shares{{"some", .25}, {"none", 0}}, 0);
  EXPECT_EQ(sets[0].rows.size(), 250U);
  EXPECT_TRUE(sets[1].rows.empty());
}

TEST(SplitRows, LosesNoRowToRoundedFractions) {
  const double third = 1. / 3;
  const auto sets = split_rows(1'000'000, Shares{{"a", third}, {"b", third}, {"c", third}}, 0);
  EXPECT_EQ(all_rows(sets).size(), 1'000'000U);
  EXPECT_TRUE(all_rows(split_rows(0, Shares{{"a", 1}}, 0)).empty());
}

TEST(SplitGroups, NeverDividesAGroup) {
  const Codes codes = mixed_groups(60, 20'000);
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto sets = split_groups(codes, Shares{{"train", .8}, {"val", .1}, {"test", .1}}, seed);
    EXPECT_EQ(all_rows(sets), rows_up_to(codes.size()));
    std::map<std::int64_t, std::set<std::string>> sets_of;
    for (const RowSet& set : sets) {
      for (const std::int64_t row : set.rows) {
        sets_of[codes[static_cast<std::size_t>(row)]].insert(set.name);
      }
    }
    EXPECT_EQ(sets_of.size(), 60U);
    for (const auto& [code, names] : sets_of) EXPECT_EQ(names.size(), 1U) << code;
  }
}

TEST(SplitGroups, ComesNearTheFractions) {
  const Codes codes = mixed_groups(60, 20'000);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const auto sets = split_groups(codes, Shares{{"train", .8}, {"val", .1}, {"test", .1}}, seed);
    // The smallest groups come last and have about 170 rows.
    EXPECT_NEAR(static_cast<double>(sets[0].rows.size()), 16'000, 200) << seed;
    EXPECT_NEAR(static_cast<double>(sets[1].rows.size()), 2'000, 200) << seed;
    EXPECT_NEAR(static_cast<double>(sets[2].rows.size()), 2'000, 200) << seed;
  }
}

TEST(SplitGroups, HoldsOutOtherGroupsWithOtherSeeds) {
  const Codes codes = mixed_groups(60, 20'000);
  std::set<std::int64_t> held_out;
  std::int64_t most = 0;
  std::map<std::int64_t, std::int64_t> sizes;
  for (const std::int64_t code : codes) ++sizes[code];
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto sets = split_groups(codes, Shares{{"train", .9}, {"val", .1}}, seed);
    EXPECT_EQ(split_groups(codes, Shares{{"train", .9}, {"val", .1}}, seed)[1].rows, sets[1].rows);
    for (const std::int64_t row : sets[1].rows) {
      held_out.insert(codes[static_cast<std::size_t>(row)]);
      most = std::max(most, sizes[codes[static_cast<std::size_t>(row)]]);
    }
  }
  EXPECT_GT(held_out.size(), 45U);
  EXPECT_GT(most, 500);  // not only small groups
}

TEST(SplitGroups, GivesEverySetAGroupWhereThereAreEnough) {
  const Codes codes{0, 0, 0, 1, 1, 1, 2, 2, 2};
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto sets = split_groups(codes, Shares{{"train", .9}, {"val", .1}}, seed);
    EXPECT_EQ(sets[0].rows.size(), 6U);
    EXPECT_EQ(sets[1].rows.size(), 3U);
    for (const RowSet& set : split_groups(codes, Shares{{"a", .1}, {"b", .1}, {"c", .1}}, seed)) {
      EXPECT_EQ(set.rows.size(), 3U);
    }
  }
}

TEST(SplitGroups, KeepsMissingGroupsTogether) {
  Codes codes = mixed_groups(20, 1'000);
  for (std::size_t i = 0; i < codes.size(); i += 9) codes[i] = i % 2 == 0 ? -1 : -7;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const auto sets = split_groups(codes, Shares{{"a", .5}, {"b", .5}}, seed);
    EXPECT_EQ(all_rows(sets).size(), codes.size());
    const auto missing = [&](const RowSet& set) {
      return std::any_of(set.rows.begin(), set.rows.end(), [&](std::int64_t row) {
        return codes[static_cast<std::size_t>(row)] < 0;
      });
    };
    EXPECT_NE(missing(sets[0]), missing(sets[1]));
  }
}

TEST(SplitGroups, TakesCodesOfAnySize) {
  const Codes codes{std::numeric_limits<std::int64_t>::max(), 0, 1LL << 40, 0};
  EXPECT_EQ(all_rows(split_groups(codes, Shares{{"a", .5}, {"b", .5}}, 0)), rows_up_to(4));
  EXPECT_TRUE(split_groups({}, Shares{{"a", 1}}, 0)[0].rows.empty());
}

TEST(Split, IsTheSameOnEveryMachine) {
  const auto rows = split_rows(20, Shares{{"a", .25}, {"b", .75}}, 42);
  EXPECT_THAT(rows[0].rows, testing::ElementsAre(0, 2, 6, 11, 15));
  const Codes codes = mixed_groups(12, 600);
  const auto groups = split_groups(codes, Shares{{"a", .75}, {"b", .25}}, 42);
  std::set<std::int64_t> held_out;
  for (const std::int64_t row : groups[1].rows) {
    held_out.insert(codes[static_cast<std::size_t>(row)]);
  }
  EXPECT_THAT(held_out, testing::ElementsAre(1, 8, 11));
}

TEST(Split, RefusesSharesThatCantBe) {
  const auto with = [](const Shares& shares) {
    return message([&] { return split_rows(10, shares, 0); });
  };
  EXPECT_EQ(with({}), "split: no set found, expected names and fractions");
  EXPECT_EQ(with({{"a", -.1}}), "split: a=-0.1 found, expected a fraction from 0 to 1");
  EXPECT_EQ(with({{"a", std::nan("")}}), "split: a=nan found, expected a fraction from 0 to 1");
  EXPECT_EQ(with({{"a", .9}, {"b", .2}}), "split: the fractions add up to 1.1, expected 1 at most");
  EXPECT_EQ(with({{"a", .5}, {"a", .5}}), "split: two sets are named 'a'");
  EXPECT_EQ(message([] {
              return split_groups(Codes{3, 3}, Shares{{"a", .5}, {"b", .5}}, 0);
            }),
            "split: 2 sets of whole groups, but the rows have 1 group");
}

}  // namespace
}  // namespace cellmill
