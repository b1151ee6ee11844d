#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// scGPT's bins of a cell's values (ScGptOptions::bins), in buffers that are used again. Cells of
/// counts have few distinct values, also once they are normalised: these are found by hashing and
/// sorted, not all values.
class ValueBins {
 public:
  /// \param values above 0 or below, no zeros \param bins 2 or more
  /// \param draws of each value: the upper 20 bits choose among its bins, all equally likely
  /// \param out the bin of each value, 1 to bins − 1
  void bin(std::span<const float> values, int bins, std::span<const std::uint64_t> draws,
           std::span<float> out);

 private:
  /// A value that occurs.
  struct Level {
    float value = 0;
    std::uint32_t number = 0;  ///< of it, in the order in which values are met
    std::uint32_t count = 0;
  };
  struct Slot {
    float value = 0;
    std::int32_t level = -1;  ///< −1: free
  };
  void find_levels(std::span<const float> values);
  void clear();
  void grow();
  /// The slot that has the value, or that is free for it.
  [[nodiscard]] std::size_t find(float value) const;
  /// The number of the level at its slot; a new one if the slot is free.
  std::uint32_t level_at(std::size_t slot, float value);
  /// Quantile q of all values. \param level where to look from, for rising q
  [[nodiscard]] double quantile(std::size_t count, double q, std::size_t& level) const;

  std::vector<Slot> slots_;             ///< hash table of `levels_`
  std::vector<Level> levels_;           ///< as met
  std::vector<Level> by_value_;         ///< the same, rising
  std::vector<std::uint32_t> counts_;   ///< of each level, in parts
  std::vector<std::uint64_t> ends_;     ///< values up to and with each level, by value
  std::vector<std::uint64_t> choices_;  ///< of each level, as met: the bins that it may get
  RawVector<std::uint32_t> level_of_;   ///< of each value, as met
  std::vector<double> edges_;
};

}  // namespace cellmill
