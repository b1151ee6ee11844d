#include "analysis/median.hpp"

#include <array>
#include <bit>
#include <cstddef>

namespace cellmill {
namespace {

constexpr int digit_bits = 11;
constexpr int digits =
    6;  // 66 bits cover the 64 of a double; positive doubles order as their bits do
constexpr std::size_t bins = std::size_t{1} << digit_bits;

/// The digit of `key` that round `round` looks at, most significant first.
std::size_t digit(std::uint64_t key, int round) {
  const int shift = digit_bits * (digits - 1 - round);
  return static_cast<std::size_t>(key >> shift) & (bins - 1);
}

/// Looking for the value of one rank (in sorted order) in one group: the leading digits known so
/// far.
struct Search {
  std::int64_t rank = -1;
  std::uint64_t prefix = 0;
};

}  // namespace

std::vector<double> medians_of_positive(std::span<const double> values,
                                        std::span<const std::int32_t> group, std::int32_t n_groups,
                                        Communicator& comm) {
  const auto groups = static_cast<std::size_t>(n_groups);
  std::vector<std::array<Search, 2>> searches(groups);  // the lower and the upper middle
  std::vector<std::int64_t> counts(groups, 0);
  for (std::size_t i = 0; i < values.size(); ++i)
    counts[static_cast<std::size_t>(group[i])] += values[i] > 0 ? 1 : 0;
  comm.all_reduce_sum(counts);
  for (std::size_t g = 0; g < groups; ++g) {
    searches[g][0].rank = (counts[g] - 1) / 2;
    searches[g][1].rank = counts[g] / 2;
  }

  for (int round = 0; round < digits; ++round) {
    const int known = digit_bits * (digits - round);  // bits below the digits already found
    std::vector<std::int64_t> histogram(groups * 2 * bins, 0);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!(values[i] > 0)) continue;
      const auto key = std::bit_cast<std::uint64_t>(values[i]);
      const auto g = static_cast<std::size_t>(group[i]);
      for (std::size_t half = 0; half < 2; ++half) {
        const bool same = round == 0 || key >> known == searches[g][half].prefix;
        if (same) ++histogram[(g * 2 + half) * bins + digit(key, round)];
      }
    }
    comm.all_reduce_sum(histogram);
    for (std::size_t g = 0; g < groups; ++g) {
      if (counts[g] == 0) continue;
      for (std::size_t half = 0; half < 2; ++half) {
        Search& search = searches[g][half];
        const std::int64_t* bin = &histogram[(g * 2 + half) * bins];
        std::size_t at = 0;
        while (search.rank >= bin[at]) search.rank -= bin[at++];
        search.prefix = search.prefix << digit_bits | at;
      }
    }
  }

  std::vector<double> medians(groups, 0.0);
  for (std::size_t g = 0; g < groups; ++g) {
    if (counts[g] == 0) continue;
    const auto lower = std::bit_cast<double>(searches[g][0].prefix);
    const auto upper = std::bit_cast<double>(searches[g][1].prefix);
    medians[g] = lower + (upper - lower) / 2;
  }
  return medians;
}

}  // namespace cellmill
