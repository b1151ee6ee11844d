#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill::simulation {

/// Draws genes with given probabilities in constant time (Walker's alias method): a slot is chosen
/// evenly, then one of its two genes.
class AliasTable {
 public:
  AliasTable() = default;
  /// \param weights of `genes`, in any unit; those of weight 0 are never drawn
  AliasTable(std::span<const std::int32_t> genes, std::span<const double> weights);

  [[nodiscard]] bool empty() const { return slots_.empty(); }

  /// The gene that 64 random bits stand for: the upper half chooses the slot, the lower the gene.
  [[nodiscard]] std::int32_t gene(std::uint64_t bits) const {
    const Slot& slot = slots_[((bits >> 32) * slots_.size()) >> 32];
    return static_cast<std::uint32_t>(bits) < slot.share ? slot.gene : slot.alias;
  }

 private:
  struct Slot {
    std::uint32_t share;  ///< of `gene`, in 2^-32
    std::int32_t gene;
    std::int32_t alias;
  };
  std::vector<Slot> slots_;
};

}  // namespace cellmill::simulation
