#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cellmill {

/// How much of the rows a set is to have.
struct Share {
  std::string name;
  double fraction = 0;
};

/// Rows of a set: positions among the rows that were split, rising.
struct RowSet {
  std::string name;
  std::vector<std::int64_t> rows;
};

/// Cuts n_rows rows at random into sets, in the order of the shares: disjoint, each its fraction of
/// the rows to within one. Rows that the fractions leave over (if they add up to less than 1) are
/// in no set. A pure function of its arguments, on any machine.
/// \throws Error(usage) for fractions outside [0, 1] or that add up to more than 1, for names that
/// repeat and for no share at all
[[nodiscard]] std::vector<RowSet> split_rows(std::int64_t n_rows, std::span<const Share> shares,
                                             std::uint64_t seed);

/// The same by whole groups, so that no group is in two sets: a sample's cells are either trained
/// on or held out. The sets come as near to their fractions as the groups allow: groups go, large
/// before small and at random among those of similar size, into a set that still has room for them,
/// the more likely the more it lacks; where none has room, into the one that lacks most. A share
/// above 0 gets at least one group.
/// \param groups of each row: a code, e.g. of an obs column; all below 0 (missing) are one group
/// more, because they may belong together
/// \throws also Error(input) if there are fewer groups than shares above 0
[[nodiscard]] std::vector<RowSet> split_groups(std::span<const std::int64_t> groups,
                                               std::span<const Share> shares, std::uint64_t seed);

}  // namespace cellmill
