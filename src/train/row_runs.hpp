#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

namespace cellmill {

/// Calls body(rows) for all rows in runs of neighbours, so that columns are gathered without a list
/// of all rows beside them.
template <class Body>
void for_row_runs(std::int64_t n_rows, Body&& body) {
  constexpr std::int64_t together = std::int64_t{1} << 16;
  std::vector<std::int64_t> rows;
  for (std::int64_t begin = 0; begin < n_rows; begin += together) {
    rows.resize(static_cast<std::size_t>(std::min(together, n_rows - begin)));
    std::iota(rows.begin(), rows.end(), begin);
    body(std::span<const std::int64_t>(rows));
  }
}

}  // namespace cellmill
