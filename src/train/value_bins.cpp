#include "train/value_bins.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "cellmill/core/clones.hpp"

namespace cellmill {
namespace {

constexpr std::size_t first_slots = 512;

/// Where the search for a value begins, in a table of a power of two of slots. By the upper bits of
/// a product: the lower ones of small whole numbers are all zero.
std::uint32_t slot_of(float value, int shift) {
  return (std::bit_cast<std::uint32_t>(value) * 0x9E3779B1U) >> shift;
}
int shift_of(std::size_t slots) { return 32 - std::countr_zero(slots); }

CELLMILL_CLONES void find_slots(const float* values, std::size_t count, int shift,
                                std::uint32_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = slot_of(values[i], shift);
}

/// Bins a value may get: `bins` from `first` on, as first · 2^32 + bins.
CELLMILL_WIDE_CLONES void draw_bins(const std::uint32_t* levels, const std::uint64_t* choices,
                                    const std::uint64_t* draws, std::size_t count, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t choice = choices[levels[i]];
    const std::uint64_t chosen = ((draws[i] >> 44) * (choice & 0xFFFFFFFFU)) >> 20;
    out[i] = static_cast<float>(static_cast<std::int32_t>((choice >> 32) + chosen));
  }
}

}  // namespace

void ValueBins::grow() {
  slots_.assign(std::max(first_slots, 2 * slots_.size()), {});
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    slots_[find(levels_[i].value)] = {levels_[i].value, static_cast<std::int32_t>(i)};
  }
}

std::size_t ValueBins::find(float value) const {
  std::size_t slot = slot_of(value, shift_of(slots_.size()));
  while (slots_[slot].level >= 0 && slots_[slot].value != value) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void ValueBins::clear() {
  for (const Level& level : levels_) {  // of the cell before: quicker than all slots
    std::size_t slot = slot_of(level.value, shift_of(slots_.size()));
    while (slots_[slot].level >= 0) {
      slots_[slot].level = -1;
      slot = (slot + 1) & (slots_.size() - 1);
    }
  }
  levels_.clear();
  counts_.clear();
  if (slots_.empty()) grow();
}

std::uint32_t ValueBins::level_at(std::size_t slot, float value) {
  if (slots_[slot].level < 0) {
    const auto number = static_cast<std::uint32_t>(levels_.size());
    slots_[slot] = {value, static_cast<std::int32_t>(number)};
    levels_.push_back({value, number, 0});
  }
  return static_cast<std::uint32_t>(slots_[slot].level);
}

void ValueBins::find_levels(std::span<const float> values) {
  clear();
  const std::size_t count = values.size();
  if (level_of_.size() < count) level_of_.resize(count);
  std::uint32_t* const level_of = level_of_.data();
  find_slots(values.data(), count, shift_of(slots_.size()), level_of);
  // Counted four at a time apart: most values are the same few, and one would wait for the other.
  constexpr std::size_t apart = 4;
  const Slot* slots = slots_.data();
  std::uint32_t* counts = counts_.data();
  for (std::size_t i = 0; i < count; ++i) {
    const Slot& first = slots[level_of[i]];
    auto level = static_cast<std::uint32_t>(first.level);
    if (first.level < 0 || first.value != values[i]) {
      level = level_at(find(values[i]), values[i]);
      counts_.resize(apart * levels_.size());
      counts = counts_.data();
      if (2 * levels_.size() > slots_.size()) {
        grow();
        slots = slots_.data();
        find_slots(values.data() + i, count - i, shift_of(slots_.size()), level_of + i);
      }
    }
    level_of[i] = level;
    ++counts[apart * level + i % apart];
  }
  for (std::size_t k = 0; k < levels_.size(); ++k) {
    for (std::size_t i = 0; i < apart; ++i) levels_[k].count += counts_[apart * k + i];
  }
}

double ValueBins::quantile(std::size_t count, double q, std::size_t& level) const {
  // As numpy computes it, operation by operation, so that a value that equals an edge there does so
  // here.
  const double place = static_cast<double>(count - 1) * q;
  const double below = std::floor(place);
  const auto index = static_cast<std::uint64_t>(below);
  while (ends_[level] <= index) ++level;
  const double low = static_cast<double>(by_value_[level].value);
  if (index + 1 >= count || index + 1 < ends_[level]) return low;
  const double t = place - below;
  const double high = static_cast<double>(by_value_[level + 1].value);
  const double difference = high - low;
  return t >= 0.5 ? high - difference * (1 - t) : low + difference * t;
}

void ValueBins::bin(std::span<const float> values, int bins, std::span<const std::uint64_t> draws,
                    std::span<float> out) {
  const std::size_t count = values.size();
  if (count == 0) return;
  find_levels(values);
  by_value_ = levels_;
  std::sort(by_value_.begin(), by_value_.end(),
            [](const Level& a, const Level& b) { return a.value < b.value; });
  ends_.clear();
  std::uint64_t end = 0;
  for (const Level& level : by_value_) ends_.push_back(end += level.count);

  const auto n_edges = static_cast<std::size_t>(bins - 1);
  const double step = n_edges > 1 ? 1.0 / static_cast<double>(n_edges - 1) : 0;
  edges_.resize(n_edges);
  std::size_t level = 0;
  for (std::size_t k = 0; k < n_edges; ++k) {
    const bool last = k > 0 && k + 1 == n_edges;
    edges_[k] = quantile(count, last ? 1.0 : static_cast<double>(k) * step, level);
  }

  choices_.resize(levels_.size());
  std::uint32_t up_to = 0;  // edges that are not above the value
  std::uint32_t below = 0;  // edges that are below it
  for (const Level& at : by_value_) {
    const auto value = static_cast<double>(at.value);
    while (up_to < n_edges && edges_[up_to] <= value) ++up_to;
    while (below < n_edges && edges_[below] < value) ++below;
    const std::uint64_t first = up_to == below ? up_to : below + 1;
    choices_[at.number] = (first << 32) | (up_to == below ? 1 : up_to - below);
  }
  draw_bins(level_of_.data(), choices_.data(), draws.data(), count, out.data());
}

}  // namespace cellmill
