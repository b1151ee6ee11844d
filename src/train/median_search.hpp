#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Exact medians of many groups of numbers that are too many to be held: they are shown several
/// times over. In the first round the numbers of each group are counted in bins; what is then
/// between the bounds of the middle ones' bin is kept in the next round where it fits, and counted
/// in narrower bins where it doesn't. Positive doubles are ordered as their bits are, so the bins
/// are ranges of these. Results don't depend on the order in which numbers come.
class MedianSearch {
 public:
  struct Expected {
    double least = 0;        ///< numbers are mostly from here on …
    double most = 0;         ///< … to here; others only take more rounds
    std::int64_t count = 0;  ///< of all groups, about
  };
  /// \param memory bytes for all but some 200 a group: fewer take more rounds. At least 64 a group
  /// are used
  MedianSearch(std::int32_t n_groups, const Expected& expected, std::int64_t memory);

  /// Whether all numbers must be shown, once more.
  [[nodiscard]] bool searching() const { return !searches_.empty(); }
  /// Numbers of a group, above 0 and finite; fewer than 2^32 a group. From any thread.
  void add(std::int32_t group, std::span<const double> values);
  /// All numbers were shown. \throws Error(input) if there were others than in the round before
  void end_round();

  [[nodiscard]] int rounds() const { return rounds_; }
  /// Of each group; once nothing is searched for. Of evenly many numbers the mean of the middle
  /// two; NaN: there are none.
  [[nodiscard]] std::vector<double> medians() const;

 private:
  using Key = std::uint64_t;
  /// Where the lower middle, the upper, or both of a group are.
  struct Search {
    std::int32_t group = 0;
    std::array<std::int64_t, 2> rank{-1, -1};  ///< among the numbers in the range; −1: not here
    Key least = 0;                             ///< of the range
    Key most = 0;
    std::int64_t count = 0;  ///< numbers in the range; unknown in the first round
    bool keeps = false;      ///< the numbers; otherwise they are counted
    std::int64_t room = 0;   ///< where in kept_ or in bins_ its part begins
    std::int64_t n = 0;      ///< kept so far, or bins
    Key from = 0;            ///< the first bin begins here, with all that is below it
    int shift = 0;           ///< a bin is so many bits wide
  };
  void make_bins(Search& search, std::int64_t most_bins);
  [[nodiscard]] static std::int64_t bin_of(const Search& search, Key key);
  void plan_round(std::vector<Search> searches);
  void find_in_kept(const Search& search);
  void find_in_bins(const Search& search, std::vector<Search>& next);
  void found(std::int32_t group, std::size_t half, Key key);

  std::int64_t memory_;
  int rounds_ = 0;
  std::vector<Search> searches_;        ///< by group
  std::vector<std::int64_t> first_of_;  ///< of each group in searches_, and the end
  RawVector<Key> kept_;
  std::vector<std::uint32_t> bins_;
  std::vector<std::array<double, 2>> middles_;  ///< of each group
  std::vector<std::mutex> guards_;              ///< of neighbouring groups
};

}  // namespace cellmill
