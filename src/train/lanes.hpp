#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cellmill/core/random.hpp"
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

  /// Batches of a window of about so many rows, in a lane of even windows.
  /// \throws Error(usage) if window_rows < 1
  [[nodiscard]] std::int64_t window_batches(std::int64_t window_rows) const;

  /// An empty window. \throws Error(usage) unless an epoch of these lanes has it
  [[nodiscard]] Window begin_window(std::int64_t epoch, int lane, std::int64_t index,
                                    std::int64_t window_batches) const;

  /// The places of a window's batches in its lane, and what fills them up past the lane's end.
  struct WindowPlaces {
    Range real;  ///< places that the lane has
    std::int64_t filled = 0;
  };
  [[nodiscard]] WindowPlaces window_places(int lane, std::int64_t first_batch,
                                           std::int64_t window_batches) const;

  /// Random numbers of one window; others for another purpose.
  [[nodiscard]] CounterRng window_rng(std::int64_t epoch, int lane, std::int64_t index,
                                      std::uint64_t purpose) const;

  std::int64_t n_rows;
  OrderOptions options;
  std::int64_t batches = 0;  ///< of each lane
};

/// The options that all orders have, for Order::options().
[[nodiscard]] std::vector<std::pair<std::string, std::string>> common_options(const char* order,
                                                                              const RowBlocks& rows,
                                                                              const Lanes& lanes);

/// Puts rows in random order; all permutations are equally likely.
void permute(std::span<std::int64_t> rows, const CounterRng& rng);

[[nodiscard]] const char* tail_name(Tail tail);

/// Batches of a window, at most `wanted`: as few windows as that allows, and those as even as whole
/// batches do. A last window of a few blocks would make batches of neighbours.
[[nodiscard]] std::int64_t even_windows(std::int64_t batches, std::int64_t wanted);

}  // namespace cellmill
