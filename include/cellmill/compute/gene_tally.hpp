#pragma once

namespace cellmill {

/// What some cells add up to for one gene; x is the cell's value as the caller scaled it. Half a
/// cache line, so that a non-zero touches one.
struct alignas(32) GeneTally {
  double sum = 0;          ///< Σ x
  double sum_squares = 0;  ///< Σ x²
  double max = 0;          ///< largest x; 0 if there is none
  double count = 0;        ///< cells with x ≠ 0 (explicit zeros don't count); whole, exact
};

}  // namespace cellmill
