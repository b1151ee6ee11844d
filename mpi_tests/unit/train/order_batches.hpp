#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/train/order.hpp"
#include "cellmill/train/schedule.hpp"

namespace cellmill {

using Rows = std::vector<std::int64_t>;

inline Rows window_rows_of(const Order& order, std::int64_t epoch, int lane, std::int64_t index) {
  return order.window(epoch, lane, index).rows;
}

/// Rows of one batch. \param size rows of a whole one
inline Rows batch_rows(const Order& order, std::int64_t epoch, const Schedule::Place& place,
                       std::int64_t size) {
  if (place.batch < 0) return Rows(static_cast<std::size_t>(size), -1);
  const Window window = order.window(epoch, place.lane, place.batch / order.window_batches());
  const std::int64_t begin = (place.batch - window.first_batch) * size;
  const std::int64_t end = std::min(begin + size, static_cast<std::int64_t>(window.rows.size()));
  return {window.rows.begin() + begin, window.rows.begin() + end};
}

/// The global sequence of batches from `first` on, as `readers` readers hand it out.
inline std::vector<Rows> epoch_batches(const Order& order, Tail tail, std::int64_t epoch,
                                       std::int64_t size, int readers = 1, std::int64_t first = 0) {
  std::vector<Rows> batches;
  const std::int64_t steps = Schedule(order, tail, 0, readers, first).steps();
  for (std::int64_t step = 0; step < steps; ++step) {
    for (int reader = 0; reader < readers; ++reader) {
      const Schedule schedule(order, tail, reader, readers, first);
      EXPECT_EQ(schedule.steps(), steps);
      batches.push_back(batch_rows(order, epoch, schedule.place(step), size));
    }
  }
  return batches;
}

/// The batches that two readers leave are those that one, or four, go on with.
inline void expect_resumes_with_any_readers(const Order& order, Tail tail, std::int64_t size) {
  const auto whole = epoch_batches(order, tail, 2, size);
  const auto two = epoch_batches(order, tail, 2, size, 2);
  for (const std::size_t first : {0U, 2U, 10U}) {
    ASSERT_GT(whole.size(), first);
    EXPECT_TRUE(
        std::equal(two.begin(), two.begin() + static_cast<std::ptrdiff_t>(first), whole.begin()));
    for (const int readers : {1, 4}) {
      const auto rest =
          epoch_batches(order, tail, 2, size, readers, static_cast<std::int64_t>(first));
      ASSERT_GT(rest.size() + static_cast<std::size_t>(readers), whole.size() - first);
      const std::size_t common = std::min(rest.size(), whole.size() - first);
      for (std::size_t i = 0; i < common; ++i) EXPECT_EQ(rest[i], whole[i + first]) << i;
    }
  }
}

template <class Make>
std::string message_of(Make&& make) {
  try {
    (void)make();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing";
}

}  // namespace cellmill
