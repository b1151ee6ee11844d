#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill {

/// Draws numbers in proportion to their weights in constant time: Walker's alias method, the table
/// built as Vose does. 16 bytes a number.
class AliasTable {
 public:
  /// \param weights finite, none negative, not all 0
  explicit AliasTable(std::span<const double> weights);

  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(slots_.size()); }
  /// Memory.
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(slots_.size() * sizeof(Slot));
  }
  /// \param slot random, in [0, size()) \param uniform random, in [0, 1)
  /// \returns a number; one of weight 0 never
  [[nodiscard]] std::int64_t draw(std::uint64_t slot, double uniform) const {
    const Slot& found = slots_[slot];
    return uniform < found.keeps ? static_cast<std::int64_t>(slot) : found.other;
  }

 private:
  struct Slot {
    double keeps = 1;  ///< probability that the slot's own number is drawn, otherwise the other
    std::int64_t other = 0;
  };
  std::vector<Slot> slots_;
};

}  // namespace cellmill
