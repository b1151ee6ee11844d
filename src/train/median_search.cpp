#include "train/median_search.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

constexpr std::int64_t least_bins = 16;
constexpr std::int64_t most_first_bins = std::int64_t{1} << 14;
constexpr std::int64_t most_bins = std::int64_t{1} << 20;
constexpr std::int32_t groups_a_guard = 64;

std::uint64_t key_of(double value) { return std::bit_cast<std::uint64_t>(value); }

Error changed_error() { return input_error("the inputs changed while they were read"); }

/// The largest up to this number.
std::int64_t power_of_two_below(std::int64_t number) {
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(number)));
}

/// Bins of the first round: enough that what is left in the middle ones' can be kept.
std::int64_t first_bins(const MedianSearch::Expected& expected, std::int64_t memory) {
  // Were a group's numbers spread evenly over a range of 2, a bin would have this part of them.
  const double octaves = std::max(std::log2(expected.most / expected.least), 1.0);
  const double wanted = 2 * octaves * static_cast<double>(expected.count) * sizeof(double) /
                        static_cast<double>(std::max<std::int64_t>(memory, 1));
  constexpr double few = 256;
  return static_cast<std::int64_t>(
      std::bit_ceil(static_cast<std::uint64_t>(std::clamp<double>(wanted, few, most_first_bins))));
}

}  // namespace

MedianSearch::MedianSearch(std::int32_t n_groups, const Expected& expected, std::int64_t memory)
    : memory_(memory),
      middles_(static_cast<std::size_t>(n_groups), {std::numeric_limits<double>::quiet_NaN(),
                                                    std::numeric_limits<double>::quiet_NaN()}),
      guards_(static_cast<std::size_t>(n_groups / groups_a_guard + 1)) {
  const std::int64_t fit =
      power_of_two_below(std::max(memory / 2 / static_cast<std::int64_t>(sizeof(std::uint32_t)) /
                                      std::max<std::int64_t>(n_groups, 1),
                                  least_bins));
  const std::int64_t bins = std::min(first_bins(expected, memory), fit);
  first_of_.resize(static_cast<std::size_t>(n_groups) + 1);
  std::iota(first_of_.begin(), first_of_.end(), std::int64_t{0});
  searches_.resize(static_cast<std::size_t>(n_groups));
  for (std::int32_t group = 0; group < n_groups; ++group) {
    Search& search = searches_[static_cast<std::size_t>(group)];
    search.group = group;
    search.least = key_of(expected.least);
    search.most = key_of(expected.most);
    make_bins(search, bins);
    search.least = 0;
    search.most = key_of(std::numeric_limits<double>::max());
    search.room = group * search.n;
  }
  bins_.assign(static_cast<std::size_t>(n_groups) *
                   static_cast<std::size_t>(searches_.empty() ? 0 : searches_.front().n),
               0);
}

void MedianSearch::make_bins(Search& search, std::int64_t most_bins) {
  search.from = search.least;
  const Key width = search.most - search.least;
  search.shift = std::max<int>(
      static_cast<int>(std::bit_width(width)) - std::countr_zero(static_cast<Key>(most_bins)), 0);
  search.n = static_cast<std::int64_t>(width >> search.shift) + 1;
}

std::int64_t MedianSearch::bin_of(const Search& search, Key key) {
  const Key above = key - std::min(key, search.from);
  return std::min(static_cast<std::int64_t>(above >> search.shift), search.n - 1);
}

void MedianSearch::add(std::int32_t group, std::span<const double> values) {
  const auto at = static_cast<std::size_t>(group);
  if (first_of_[at] == first_of_[at + 1] || values.empty()) return;
  const std::lock_guard lock(guards_[at / groups_a_guard]);
  for (std::int64_t s = first_of_[at]; s < first_of_[at + 1]; ++s) {
    Search& search = searches_[static_cast<std::size_t>(s)];
    const Key width = search.most - search.least;
    if (search.keeps) {
      Key* const room = kept_.data() + search.room;
      for (const double value : values) {
        const Key key = key_of(value);
        if (key - search.least <= width && search.n < search.count) room[search.n++] = key;
      }
    } else {
      std::uint32_t* const bins = bins_.data() + search.room;
      for (const double value : values) {
        const Key key = key_of(value);
        if (key - search.least <= width) ++bins[bin_of(search, key)];
      }
    }
  }
}

void MedianSearch::found(std::int32_t group, std::size_t half, Key key) {
  middles_[static_cast<std::size_t>(group)][half] = std::bit_cast<double>(key);
}

void MedianSearch::find_in_kept(const Search& search) {
  if (search.n != search.count) throw changed_error();
  const std::span kept(kept_.data() + search.room, static_cast<std::size_t>(search.n));
  for (std::size_t half = 0; half < 2; ++half) {
    if (search.rank[half] < 0) continue;
    const auto middle = kept.begin() + search.rank[half];
    std::nth_element(kept.begin(), middle, kept.end());
    found(search.group, half, *middle);
  }
}

void MedianSearch::find_in_bins(const Search& search, std::vector<Search>& next) {
  const std::span bins(bins_.data() + search.room, static_cast<std::size_t>(search.n));
  const auto count = std::accumulate(bins.begin(), bins.end(), std::int64_t{0});
  std::array<std::int64_t, 2> rank = search.rank;
  if (rounds_ == 0) {
    if (count == 0) return;
    rank = {(count - 1) / 2, count / 2};
  } else if (count != search.count) {
    throw changed_error();
  }
  std::int64_t last_bin = -1;
  for (std::size_t half = 0; half < 2; ++half) {
    if (rank[half] < 0) continue;
    std::int64_t bin = 0;
    std::int64_t left = rank[half];
    while (left >= bins[static_cast<std::size_t>(bin)]) {
      left -= bins[static_cast<std::size_t>(bin++)];
    }
    if (bin == last_bin) {
      next.back().rank[half] = left;
      continue;
    }
    last_bin = bin;
    Search found_here;
    found_here.group = search.group;
    found_here.rank[half] = left;
    const auto at = static_cast<Key>(bin);
    found_here.least = bin == 0 ? search.least : search.from + (at << search.shift);
    found_here.most =
        bin + 1 == search.n ? search.most : search.from + ((at + 1) << search.shift) - 1;
    found_here.count = bins[static_cast<std::size_t>(bin)];
    next.push_back(found_here);
  }
}

void MedianSearch::end_round() {
  std::vector<Search> next;
  for (const Search& search : searches_) {
    if (search.keeps) {
      find_in_kept(search);
    } else {
      find_in_bins(search, next);
    }
  }
  ++rounds_;
  std::erase_if(next, [&](const Search& search) {
    if (search.least != search.most) return false;
    for (std::size_t half = 0; half < 2; ++half) {
      if (search.rank[half] >= 0) found(search.group, half, search.least);
    }
    return true;
  });
  plan_round(std::move(next));
}

void MedianSearch::plan_round(std::vector<Search> searches) {
  searches_ = std::move(searches);
  std::fill(first_of_.begin(), first_of_.end(), 0);
  for (const Search& search : searches_) ++first_of_[static_cast<std::size_t>(search.group) + 1];
  std::partial_sum(first_of_.begin(), first_of_.end(), first_of_.begin());

  // The smallest are kept as long as there is room.
  std::vector<Search*> by_count;
  for (Search& search : searches_) by_count.push_back(&search);
  std::stable_sort(by_count.begin(), by_count.end(),
                   [](const Search* a, const Search* b) { return a->count < b->count; });
  const std::int64_t room = memory_ / 2 / static_cast<std::int64_t>(sizeof(Key));
  std::int64_t kept = 0;
  std::size_t at = 0;
  for (; at < by_count.size() && kept + by_count[at]->count <= room; ++at) {
    by_count[at]->keeps = true;
    by_count[at]->room = kept;
    kept += by_count[at]->count;
  }
  kept_ = RawVector<Key>(static_cast<std::size_t>(kept));
  const auto counted = static_cast<std::int64_t>(by_count.size() - at);
  const std::int64_t fit = memory_ / 2 / static_cast<std::int64_t>(sizeof(std::uint32_t)) /
                           std::max<std::int64_t>(counted, 1);
  const std::int64_t bins_each = power_of_two_below(std::clamp(fit, least_bins, most_bins));
  std::int64_t bins = 0;
  for (; at < by_count.size(); ++at) {
    make_bins(*by_count[at], bins_each);
    by_count[at]->room = bins;
    bins += by_count[at]->n;
  }
  bins_ = std::vector<std::uint32_t>(static_cast<std::size_t>(bins), 0);
}

std::vector<double> MedianSearch::medians() const {
  std::vector<double> medians;
  medians.reserve(middles_.size());
  for (const auto& [lower, upper] : middles_) medians.push_back((lower + upper) / 2);
  return medians;
}

}  // namespace cellmill
