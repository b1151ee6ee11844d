#include "simulate/alias_table.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

namespace cellmill::simulation {

AliasTable::AliasTable(std::span<const std::int32_t> genes, std::span<const double> weights) {
  std::vector<double> rest;  // what of each slot's gene is not yet placed, in slots
  for (std::size_t i = 0; i < genes.size(); ++i) {
    if (weights[i] <= 0) continue;
    slots_.push_back({std::numeric_limits<std::uint32_t>::max(), genes[i], genes[i]});
    rest.push_back(weights[i]);
  }
  const double slot = std::accumulate(rest.begin(), rest.end(), 0.0) /
                      static_cast<double>(std::max<std::size_t>(rest.size(), 1));
  std::vector<std::size_t> small;
  std::vector<std::size_t> large;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    rest[i] /= slot;
    (rest[i] < 1 ? small : large).push_back(i);
  }
  // A slot that its own gene does not fill is filled up by a gene that has too much. Slots that are
  // left over are full but for rounding.
  while (!small.empty() && !large.empty()) {
    const std::size_t filled = small.back();
    const std::size_t giver = large.back();
    small.pop_back();
    slots_[filled].share = static_cast<std::uint32_t>(rest[filled] * 0x1p32);
    slots_[filled].alias = slots_[giver].gene;
    rest[giver] -= 1 - rest[filled];
    if (rest[giver] < 1) {
      large.pop_back();
      small.push_back(giver);
    }
  }
}

}  // namespace cellmill::simulation
