#pragma once

#include <cstdint>
#include <span>

#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Sorts positions by value, in buffers that are used again: two passes of a radix sort over 20
/// bits that spread over the range of the values, and the few neighbours that these don't tell
/// apart by comparison. Without a branch that depends on the data until then: five times as fast as
/// comparing.
class RankSort {
 public:
  /// Positions of values, the largest value first, equal ones in their order. Valid until the next
  /// call. \param values no NaN
  [[nodiscard]] std::span<const std::uint32_t> falling(std::span<const double> values);

 private:
  RawVector<std::uint64_t> entries_, moved_;  ///< key · 2^32 + position
  RawVector<std::uint32_t> order_;
};

}  // namespace cellmill
