#pragma once

#include <cstdint>

#include "cellmill/train/order.hpp"

namespace cellmill {

/// Which batches of an epoch one of several readers (ranks, or workers of ranks) hands out: of the
/// global batches from `first` on, every `readers`-th. So all readers have the same number of
/// steps, whatever their number, and a run that stopped after `first` batches goes on with any
/// number of them.
class Schedule {
 public:
  /// \param first global batches of this epoch that were handed out before
  /// \throws Error(usage) unless 0 ≤ reader < readers and 0 ≤ first ≤ all batches
  Schedule(const Order& order, Tail tail, int reader, int readers, std::int64_t first = 0);

  /// The same for every reader. Batches that don't go round are left out (Tail::drop), or the last
  /// round is filled up with empty ones (pad) or those from the epoch's beginning (wrap).
  [[nodiscard]] std::int64_t steps() const;

  struct Place {
    int lane = 0;
    std::int64_t batch = 0;         ///< of the lane; −1: a batch of padding only
    std::int64_t global_batch = 0;  ///< of the epoch
  };
  [[nodiscard]] Place place(std::int64_t step) const;

 private:
  std::int64_t lanes_ = 1;
  std::int64_t batches_ = 0;  ///< of all lanes
  Tail tail_ = Tail::drop;
  std::int64_t reader_ = 0;
  std::int64_t readers_ = 1;
  std::int64_t first_ = 0;
};

}  // namespace cellmill
