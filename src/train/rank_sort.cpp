#include "train/rank_sort.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>

namespace cellmill {
namespace {

constexpr int digit_bits = 10;
constexpr std::size_t n_bins = std::size_t{1} << digit_bits;
constexpr std::uint32_t digit_mask = n_bins - 1;

/// The upper half of a number that is ordered as the values are; values that share it are near.
std::uint32_t coarse(double value) {
  const auto high = static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(value) >> 32);
  const auto negative = static_cast<std::uint32_t>(static_cast<std::int32_t>(high) >> 31);
  return high ^ (negative | 0x80000000U);
}

std::uint32_t key_of(std::uint64_t entry) { return static_cast<std::uint32_t>(entry >> 32); }
std::uint32_t place_of(std::uint64_t entry) { return static_cast<std::uint32_t>(entry); }

using Bins = std::array<std::uint32_t, n_bins>;

void to_offsets(Bins& counts) {
  std::uint32_t offset = 0;
  for (std::uint32_t& count : counts) {
    const std::uint32_t here = count;
    count = offset;
    offset += here;
  }
}

/// Puts neighbours with the same key in order. \param ties room for as many numbers
void settle(std::span<std::uint64_t> entries, std::span<const double> values,
            std::span<std::uint32_t> ties) {
  const auto value = [&](std::uint64_t entry) { return values[place_of(entry)]; };
  // Found without a branch: which neighbours are equal can't be foretold.
  std::size_t count = 0;
  for (std::size_t i = 1; i < entries.size(); ++i) {
    ties[count] = static_cast<std::uint32_t>(i);
    count += key_of(entries[i]) == key_of(entries[i - 1]) ? 1 : 0;
  }
  std::size_t settled = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t i = ties[k];
    if (i < settled || value(entries[i]) <= value(entries[i - 1])) continue;
    const std::uint32_t key = key_of(entries[i]);
    std::size_t begin = i - 1;
    while (begin > 0 && key_of(entries[begin - 1]) == key) --begin;
    std::size_t end = i + 1;
    while (end < entries.size() && key_of(entries[end]) == key) ++end;
    std::sort(entries.begin() + static_cast<std::ptrdiff_t>(begin),
              entries.begin() + static_cast<std::ptrdiff_t>(end),
              [&](std::uint64_t a, std::uint64_t b) {
                return value(a) != value(b) ? value(a) > value(b) : a < b;
              });
    settled = end;
  }
}

}  // namespace

std::span<const std::uint32_t> RankSort::falling(std::span<const double> values) {
  const std::size_t count = values.size();
  if (order_.size() < count) {
    entries_.resize(count);
    moved_.resize(count);
    order_.resize(count);
  }
  const std::span entries(entries_.data(), count);
  const std::span moved(moved_.data(), count);
  const std::span order(order_.data(), count);
  const std::span keys = order;  // until the order is known

  std::uint32_t least = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t most = 0;
  for (std::size_t i = 0; i < count; ++i) {
    keys[i] = coarse(values[i]);
    least = std::min(least, keys[i]);
    most = std::max(most, keys[i]);
  }
  const auto width = static_cast<int>(std::bit_width(most - std::min(least, most)));
  const int shift = std::max(width - 2 * digit_bits, 0);
  Bins low{};
  Bins high{};
  for (std::uint32_t& key : keys) {
    key = (most - key) >> shift;
    ++low[key & digit_mask];
    ++high[key >> digit_bits];
  }
  to_offsets(low);
  to_offsets(high);
  for (std::size_t i = 0; i < count; ++i) {
    moved[low[keys[i] & digit_mask]++] = (std::uint64_t{keys[i]} << 32) | i;
  }
  for (const std::uint64_t entry : moved) entries[high[key_of(entry) >> digit_bits]++] = entry;
  settle(entries, values, order);
  for (std::size_t i = 0; i < count; ++i) order[i] = place_of(entries[i]);
  return order;
}

}  // namespace cellmill
