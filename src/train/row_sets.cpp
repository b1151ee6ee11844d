#include "cellmill/train/row_sets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "train/keyed_permutation.hpp"

namespace cellmill {
namespace {

/// The shares are made of decimals, which do not add up to 1 exactly.
constexpr double rounding = 1e-9;

struct Group {
  std::int64_t code = 0;
  std::int64_t rows = 0;
};

/// The rows each share should have, and at the end those that no set wants.
std::vector<double> wanted_rows(std::int64_t n_rows, std::span<const Share> shares) {
  if (shares.empty()) throw usage_error("split: no set found, expected names and fractions");
  std::vector<double> wanted;
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const Share& share = shares[i];
    if (!(share.fraction >= 0 && share.fraction <= 1)) {
      throw usage_error(fmt::format("split: {}={} found, expected a fraction from 0 to 1",
                                    share.name, share.fraction));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (shares[j].name == share.name) {
        throw usage_error(fmt::format("split: two sets are named '{}'", share.name));
      }
    }
    sum += share.fraction;
    wanted.push_back(share.fraction * static_cast<double>(n_rows));
  }
  if (sum > 1 + rounding) {
    throw usage_error(
        fmt::format("split: the fractions add up to {:.9g}, expected 1 at most", sum));
  }
  const double rest = 1 - sum;
  if (std::abs(rest) <= rounding) {
    for (double& rows : wanted) rows /= sum;
  }
  wanted.push_back(rest > rounding ? rest * static_cast<double>(n_rows) : 0);
  return wanted;
}

std::vector<RowSet> named_sets(std::span<const Share> shares) {
  std::vector<RowSet> sets;
  for (const Share& share : shares) sets.push_back({share.name, {}});
  return sets;
}

/// Groups in the order of their codes; the missing ones, as −1, before all others.
std::vector<Group> count_groups(std::span<const std::int64_t> codes) {
  std::unordered_map<std::int64_t, std::int64_t> rows;
  for (const std::int64_t code : codes) ++rows[std::max<std::int64_t>(code, -1)];
  std::vector<Group> groups;
  groups.reserve(rows.size());
  for (const auto& [code, count] : rows) groups.push_back({code, count});
  std::sort(groups.begin(), groups.end(),
            [](const Group& a, const Group& b) { return a.code < b.code; });
  return groups;
}

/// Large before small, at random among sizes within a factor of two: strictly by size, a small set
/// would only ever get the smallest groups, whatever the seed.
void order_groups(std::vector<Group>& groups, const CounterRng& rng) {
  for (std::size_t left = groups.size(); left > 1; --left) {
    std::swap(groups[left - 1], groups[rng.below(left, left)]);
  }
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return std::bit_width(static_cast<std::uint64_t>(a.rows)) >
           std::bit_width(static_cast<std::uint64_t>(b.rows));
  });
}

/// What sets lack of the rows they should have, and so which gets the next group.
class Lacking {
 public:
  /// \param rows that each should have; the last one is of what no set wants
  explicit Lacking(std::vector<double> rows)
      : wanted_(rows), lacking_(std::move(rows)), empty_(wanted_.size()) {
    for (std::size_t set = 0; set + 1 < wanted_.size(); ++set) empty_[set] = wanted_[set] > 0;
  }

  /// Sets that are to have rows and have none yet.
  [[nodiscard]] std::int64_t empty() const {
    return std::count(empty_.begin(), empty_.end(), true);
  }

  /// \param draw in [0, 1) \param groups_left this one and those after it
  std::size_t give(std::int64_t rows, std::int64_t groups_left, double draw) {
    const auto size = static_cast<double>(rows);
    const bool only_empty = groups_left <= empty();
    double room = 0;
    std::size_t chosen = wanted_.size();
    for (std::size_t set = 0; set < wanted_.size(); ++set) {
      if (wanted_[set] <= 0 || (only_empty && !empty_[set])) continue;
      if (chosen == wanted_.size() || lacking_[set] > lacking_[chosen]) chosen = set;
      if (fits(set, size)) room += lacking_[set];
    }
    draw *= room;
    for (std::size_t set = 0; room > 0 && set < wanted_.size(); ++set) {
      if (wanted_[set] <= 0 || (only_empty && !empty_[set]) || !fits(set, size)) continue;
      chosen = set;
      draw -= lacking_[set];
      if (draw < 0) break;
    }
    lacking_[chosen] -= size;
    empty_[chosen] = false;
    return chosen;
  }

 private:
  /// Half a row more, for fractions that are no whole number of rows.
  [[nodiscard]] bool fits(std::size_t set, double size) const {
    return lacking_[set] > 0 && size <= lacking_[set] + 0.5;
  }

  std::vector<double> wanted_;
  std::vector<double> lacking_;
  std::vector<bool> empty_;
};

}  // namespace

std::vector<RowSet> split_rows(std::int64_t n_rows, std::span<const Share> shares,
                               std::uint64_t seed) {
  const std::vector<double> wanted = wanted_rows(n_rows, shares);
  // Of a random order of the rows the first set has the first places, and so on.
  std::vector<std::int64_t> ends;
  double end = 0;
  for (const double rows : wanted) {
    end += rows;
    ends.push_back(std::min(n_rows, static_cast<std::int64_t>(std::llround(end))));
  }
  std::vector<RowSet> sets = named_sets(shares);
  for (std::size_t set = 0; set < sets.size(); ++set) {
    const std::int64_t size = ends[set] - (set == 0 ? 0 : ends[set - 1]);
    sets[set].rows.reserve(static_cast<std::size_t>(size));
  }
  if (n_rows == 0) return sets;
  const KeyedPermutation places(static_cast<std::uint64_t>(n_rows), seed, 0);
  for (std::int64_t row = 0; row < n_rows; ++row) {
    const auto place = static_cast<std::int64_t>(places.at(static_cast<std::uint64_t>(row)));
    const auto set =
        static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), place) - ends.begin());
    if (set < sets.size()) sets[set].rows.push_back(row);
  }
  return sets;
}

std::vector<RowSet> split_groups(std::span<const std::int64_t> codes, std::span<const Share> shares,
                                 std::uint64_t seed) {
  Lacking lacking(wanted_rows(static_cast<std::int64_t>(codes.size()), shares));
  std::vector<RowSet> sets = named_sets(shares);
  if (codes.empty()) return sets;
  const auto wanting = std::count_if(shares.begin(), shares.end(),
                                     [](const Share& share) { return share.fraction > 0; });
  std::vector<Group> groups = count_groups(codes);
  if (static_cast<std::int64_t>(groups.size()) < wanting) {
    throw input_error(fmt::format("split: {} sets of whole groups, but the rows have {} {}",
                                  wanting, groups.size(), groups.size() == 1 ? "group" : "groups"));
  }
  const CounterRng rng(seed, 1);
  order_groups(groups, rng);
  std::unordered_map<std::int64_t, std::size_t> set_of;
  const std::size_t n_groups = groups.size();
  for (std::size_t i = 0; i < n_groups; ++i) {
    set_of[groups[i].code] = lacking.give(groups[i].rows, static_cast<std::int64_t>(n_groups - i),
                                          rng.uniform(n_groups + 1 + i));
  }
  for (std::size_t row = 0; row < codes.size(); ++row) {
    const std::size_t set = set_of.at(std::max<std::int64_t>(codes[row], -1));
    if (set < sets.size()) sets[set].rows.push_back(static_cast<std::int64_t>(row));
  }
  return sets;
}

}  // namespace cellmill
