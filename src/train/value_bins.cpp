#include "train/value_bins.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace cellmill {
namespace {

constexpr std::size_t first_slots = 512;

/// By the upper bits of a product: the lower ones of small whole numbers are all zero.
std::size_t slot_of(float value, std::size_t slots) {
  const std::uint32_t mixed = std::bit_cast<std::uint32_t>(value) * 0x9E3779B1U;
  return static_cast<std::size_t>((std::uint64_t{mixed} * slots) >> 32);
}

}  // namespace

void ValueBins::grow() {
  slots_.assign(std::max(first_slots, 2 * slots_.size()), {});
  for (std::size_t i = 0; i < levels_.size(); ++i) {
    std::size_t slot = slot_of(levels_[i].value, slots_.size());
    while (slots_[slot].level >= 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = {levels_[i].value, static_cast<std::int32_t>(i)};
  }
}

void ValueBins::find_levels(std::span<const float> values) {
  for (const Level& level : levels_) {  // of the cell before: quicker than all slots
    std::size_t slot = slot_of(level.value, slots_.size());
    while (slots_[slot].level >= 0) {
      slots_[slot].level = -1;
      slot = (slot + 1) & (slots_.size() - 1);
    }
  }
  levels_.clear();
  if (slots_.empty()) grow();
  if (level_of_.size() < values.size()) level_of_.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float value = values[i];
    std::size_t slot = slot_of(value, slots_.size());
    while (slots_[slot].level >= 0 && slots_[slot].value != value) {
      slot = (slot + 1) & (slots_.size() - 1);
    }
    if (slots_[slot].level < 0) {
      slots_[slot] = {value, static_cast<std::int32_t>(levels_.size())};
      levels_.push_back({value, static_cast<std::uint32_t>(levels_.size()), 0});
      level_of_[i] = levels_.back().number;
      if (2 * levels_.size() > slots_.size()) grow();
    } else {
      level_of_[i] = static_cast<std::uint32_t>(slots_[slot].level);
    }
  }
  // Four at a time apart: most values are the same few, and one would wait for the other.
  constexpr std::size_t apart = 4;
  counts_.assign(apart * levels_.size(), 0);
  for (std::size_t i = 0; i < values.size(); ++i) ++counts_[apart * level_of_[i] + i % apart];
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
    choices_[at.number] = up_to == below ? Choice{up_to, 1} : Choice{below + 1, up_to - below};
  }
  for (std::size_t i = 0; i < count; ++i) {
    const Choice choice = choices_[level_of_[i]];
    const std::uint64_t chosen = ((draws[i] >> 44) * choice.bins) >> 20;
    out[i] = static_cast<float>(static_cast<std::int32_t>(choice.first + chosen));
  }
}

}  // namespace cellmill
