#pragma once

#include <cstdint>

#include "cellmill/core/ranges.hpp"
#include "cellmill/train/order.hpp"

namespace cellmill {

/// The lanes of a sequence of rows: equal to within one row, cut into batches alike.
struct Lanes {
  /// \throws Error(usage) for what can't be (batches larger than a lane where the rest is dropped
  /// …)
  Lanes(std::int64_t n_rows, const OrderOptions& options);

  [[nodiscard]] Range lane(int number) const { return even_part(n_rows, options.lanes, number); }
  /// Places of a lane's rows that batches [begin, end) hold: from 0, perhaps past the lane's end.
  [[nodiscard]] Range places(std::int64_t begin, std::int64_t end) const {
    return {begin * options.batch_size, end * options.batch_size};
  }

  /// \throws Error(usage) unless an epoch of these lanes has such a window
  void expect_window(std::int64_t epoch, int lane, std::int64_t first_batch) const;

  std::int64_t n_rows;
  OrderOptions options;
  std::int64_t batches = 0;  ///< of each lane
};

[[nodiscard]] const char* tail_name(Tail tail);

/// Batches of a window, at most `wanted`: as few windows as that allows, and those as even as whole
/// batches do. A last window of a few blocks would make batches of neighbours.
[[nodiscard]] std::int64_t even_windows(std::int64_t batches, std::int64_t wanted);

}  // namespace cellmill
