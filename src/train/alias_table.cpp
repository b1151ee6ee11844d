#include "train/alias_table.hpp"

#include <algorithm>

namespace cellmill {

AliasTable::AliasTable(std::span<const double> weights) : slots_(weights.size()) {
  const auto heaviest = std::max_element(weights.begin(), weights.end());
  double total = 0;  // of weights relative to the heaviest: no sum overflows, no quotient vanishes
  for (const double weight : weights) total += weight / *heaviest;
  const double scale = static_cast<double>(weights.size()) / total;

  std::vector<std::int64_t> small;
  std::vector<std::int64_t> large;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    slots_[i].keeps = weights[i] / *heaviest * scale;
    (slots_[i].keeps < 1 ? small : large).push_back(static_cast<std::int64_t>(i));
  }
  while (!small.empty() && !large.empty()) {
    Slot& to = slots_[static_cast<std::size_t>(small.back())];
    Slot& from = slots_[static_cast<std::size_t>(large.back())];
    to.other = large.back();
    small.pop_back();
    from.keeps -= 1 - to.keeps;
    if (from.keeps < 1) {
      small.push_back(large.back());
      large.pop_back();
    }
  }
  // Rounding leaves some that are 1 but for the last bits, and perhaps weights of 0.
  for (const std::int64_t left : large) slots_[static_cast<std::size_t>(left)].keeps = 1;
  for (const std::int64_t left : small) {
    Slot& slot = slots_[static_cast<std::size_t>(left)];
    slot.other = heaviest - weights.begin();
    slot.keeps = weights[static_cast<std::size_t>(left)] > 0 ? 1 : 0;
  }
}

}  // namespace cellmill
