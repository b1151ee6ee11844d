#include "cellmill/train/schedule.hpp"

#include <fmt/format.h>

#include "cellmill/core/error.hpp"

namespace cellmill {

Schedule::Schedule(const Order& order, Tail tail, int reader, int readers, std::int64_t first)
    : lanes_(order.lanes()),
      batches_(order.lanes() * order.lane_batches()),
      tail_(tail),
      reader_(reader),
      readers_(readers),
      first_(first) {
  if (readers < 1 || reader < 0 || reader >= readers) {
    throw usage_error(
        fmt::format("rank {} of {} readers: expected 0 to {}", reader, readers, readers - 1));
  }
  if (first < 0 || first > batches_) {
    throw usage_error(fmt::format("batch {}: an epoch has {}", first, batches_));
  }
  if (tail == Tail::keep && readers > 1) {
    throw usage_error(fmt::format(
        "tail=\"keep\" gives a smaller last batch, which only one reader can have; there are {}",
        readers));
  }
  if (tail == Tail::drop && readers > batches_) {
    throw usage_error(fmt::format(
        "an epoch has {} batches, fewer than the {} readers: make batches smaller, or take "
        "tail=\"pad\" or \"wrap\"",
        batches_, readers));
  }
}

std::int64_t Schedule::steps() const {
  const std::int64_t left = batches_ - first_;
  return tail_ == Tail::drop ? left / readers_ : (left + readers_ - 1) / readers_;
}

Schedule::Place Schedule::place(std::int64_t step) const {
  const std::int64_t number = first_ + step * readers_ + reader_;
  if (number >= batches_ && tail_ == Tail::pad) {
    return {static_cast<int>(number % lanes_), -1, number};
  }
  const std::int64_t batch = number % batches_;  // past the end: from the epoch's beginning
  return {static_cast<int>(batch % lanes_), batch / lanes_, number};
}

}  // namespace cellmill
