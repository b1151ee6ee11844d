#include "train/lanes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

const char* tail_name(Tail tail) {
  switch (tail) {
    case Tail::drop:
      return "drop";
    case Tail::pad:
      return "pad";
    case Tail::wrap:
      return "wrap";
    case Tail::keep:
      return "keep";
  }
  return "";
}

Lanes::Lanes(std::int64_t rows, const OrderOptions& the_options)
    : n_rows(rows), options(the_options) {
  constexpr std::int64_t most_rows = std::numeric_limits<std::int32_t>::max();
  if (options.batch_size < 1 || options.batch_size > most_rows) {
    throw usage_error(fmt::format("batch_size: {} found, expected 1 to {}",
                                  grouped(options.batch_size), grouped(most_rows)));
  }
  if (options.lanes < 1) {
    throw usage_error(fmt::format("lanes: {} found, expected at least 1", options.lanes));
  }
  if (n_rows == 0) throw input_error("there is no row to read: the data, or the choice, is empty");
  if (options.tail == Tail::keep && options.lanes > 1) {
    throw usage_error(fmt::format(
        "tail=\"keep\" gives a smaller last batch, which only one reader can have; there are {} "
        "lanes: take \"drop\", \"pad\" or \"wrap\"",
        options.lanes));
  }
  if (n_rows < options.lanes) {
    throw usage_error(fmt::format("{} rows can't be shared by {} lanes", n_rows, options.lanes));
  }
  const std::int64_t least = n_rows / options.lanes;
  const std::int64_t most = (n_rows + options.lanes - 1) / options.lanes;
  batches = options.tail == Tail::drop ? least / options.batch_size
                                       : (most + options.batch_size - 1) / options.batch_size;
  if (batches == 0) {
    throw usage_error(
        fmt::format("batch_size {} is more than the {} rows that each of {} lanes has, and "
                    "tail=\"drop\" leaves "
                    "nothing: make batches smaller, or take tail=\"pad\" or \"wrap\"",
                    grouped(options.batch_size), grouped(least), options.lanes));
  }
}

void Lanes::expect_window(std::int64_t epoch, int lane, std::int64_t first_batch) const {
  if (epoch < 0) throw usage_error(fmt::format("epoch: {} found, expected 0 or more", epoch));
  if (lane < 0 || lane >= options.lanes) {
    throw usage_error(fmt::format("lane: {} found, expected 0 to {}", lane, options.lanes - 1));
  }
  if (first_batch < 0 || first_batch >= batches) {
    throw usage_error(
        fmt::format("window from batch {}: a lane has {} batches an epoch", first_batch, batches));
  }
}

std::int64_t Lanes::window_batches(std::int64_t window_rows) const {
  if (window_rows < 1) {
    throw usage_error(fmt::format("window: {} rows found, expected at least 1", window_rows));
  }
  const std::int64_t size = options.batch_size;
  const std::int64_t rounded = window_rows / size + (2 * (window_rows % size) >= size ? 1 : 0);
  return even_windows(batches, rounded);
}

Window Lanes::begin_window(std::int64_t epoch, int lane, std::int64_t index,
                           std::int64_t window_batches) const {
  Window window;
  window.first_batch = index * window_batches;
  window.batch_size = options.batch_size;
  expect_window(epoch, lane, window.first_batch);
  return window;
}

Lanes::WindowPlaces Lanes::window_places(int number, std::int64_t first_batch,
                                         std::int64_t window_batches) const {
  const std::int64_t lane_rows = lane(number).size();
  const Range all = places(first_batch, std::min(first_batch + window_batches, batches));
  WindowPlaces of;
  of.real = {std::min(all.begin, lane_rows), std::min(all.end, lane_rows)};
  const bool fills = options.tail == Tail::pad || options.tail == Tail::wrap;
  of.filled = fills ? all.size() - of.real.size() : 0;
  return of;
}

CounterRng Lanes::window_rng(std::int64_t epoch, int lane, std::int64_t index,
                             std::uint64_t purpose) const {
  return {CounterRng(options.seed, purpose).bits(static_cast<std::uint64_t>(epoch)),
          CounterRng(static_cast<std::uint64_t>(lane), 2).bits(static_cast<std::uint64_t>(index))};
}

std::vector<std::pair<std::string, std::string>> common_options(const char* order,
                                                                const RowBlocks& rows,
                                                                const Lanes& lanes) {
  return {{"order", order},
          {"rows", fmt::format("{} ({:016x})", rows.n_rows(), rows.fingerprint())},
          {"batch_size", std::to_string(lanes.options.batch_size)},
          {"seed", std::to_string(lanes.options.seed)},
          {"lanes", std::to_string(lanes.options.lanes)},
          {"tail", tail_name(lanes.options.tail)}};
}

void permute(std::span<std::int64_t> rows, const CounterRng& rng) {
  for (std::size_t left = rows.size(); left > 1; --left) {
    std::swap(rows[left - 1], rows[rng.below(left, left)]);
  }
}

std::int64_t even_windows(std::int64_t batches, std::int64_t wanted) {
  wanted = std::clamp<std::int64_t>(wanted, 1, batches);
  const std::int64_t windows = (batches + wanted - 1) / wanted;
  return (batches + windows - 1) / windows;
}

}  // namespace cellmill
