#include "cellmill/train/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "train/loader_run.hpp"

namespace cellmill {
namespace {

/// Batches that are composed or in use while the next ones are made, and that need memory beside
/// their windows'.
std::size_t pooled_batches(const Order& order, int threads) {
  return static_cast<std::size_t>(std::int64_t{2} * order.lanes() * order.window_batches() + 64 +
                                  threads);
}

}  // namespace

struct Loader::State {
  State(std::shared_ptr<const Dataset> data, std::shared_ptr<const Order> the_order, Tail the_tail,
        const ReadOptions& options, Reader the_reader)
      : order(std::move(the_order)),
        tail(the_tail),
        reader(the_reader),
        arena(options.threads),
        windows(std::move(data), options, arena, pooled_batches(*order, options.threads)),
        budget(options.memory) {
    (void)Schedule(*order, tail, reader.index, reader.count);  // says what is wrong with the reader
    const std::int64_t known = windows.standing_bytes();
    expect_room(known);
    standing = budget.reserve(known + order->bytes(), "what is known of every row");
  }

  /// \param known bytes of what the windows know of every row
  /// \throws Error(input) if that and what the order knows are too much, saying what would do
  void expect_room(std::int64_t known) const {
    const std::int64_t held = known + order->bytes();
    if (held <= budget.limit()) return;
    std::int64_t window = 0;
    std::int64_t ahead = 0;
    if (order->lane_batches() > 0) {
      Window first = order->window(0, 0, 0);
      std::vector<WantedBatch> all;
      for (std::int64_t i = 0; i < first.n_batches(); ++i) all.push_back({i, i});
      const auto work = windows.plan(std::move(first), std::move(all));
      window = windows.cost(*work);
      ahead = 3 * windows.composed_bytes(*work);
    }
    // A quarter may be taken by batches made ahead (LoaderRun); and a little more, for rounding.
    const std::int64_t least = std::max(held + window + ahead, (held + window) / 3 * 4) / 20 * 21;
    throw input_error(fmt::format(
        "the order holds {} of labels, weights and rows in use, and {} more is known of "
        "every row (offsets, columns of obs), but memory is {}: with {} or more it would "
        "do",
        human_bytes(order->bytes()), human_bytes(known), human_bytes(budget.limit()),
        human_bytes(least)));
  }

  LoaderRun& running() {
    if (!run) {
      run = std::make_unique<LoaderRun>(LoaderParts{order, tail, reader, windows, arena, budget},
                                        place);
    }
    return *run;
  }

  std::shared_ptr<const Order> order;
  Tail tail;
  Reader reader;
  Arena arena;
  WindowReader windows;
  MemoryBudget budget;
  MemoryBudget::Reservation standing;
  Place place;  ///< of the next batch
  std::unique_ptr<LoaderRun> run;
};

Loader::Loader(std::shared_ptr<const Dataset> data, std::shared_ptr<const Order> order, Tail tail,
               const ReadOptions& options, Reader reader)
    : state_(std::make_unique<State>(std::move(data), std::move(order), tail, options, reader)) {}

Loader::~Loader() = default;

const std::vector<std::string>& Loader::genes() const { return state_->windows.matrix(0).genes(); }

const ObsValues& Loader::obs(std::size_t column) const { return state_->windows.obs(column); }

void Loader::go_to(Place place) {
  if (place.epoch == state_->place.epoch && place.first == state_->place.first) return;
  // What a run that begins anywhere hands out does not depend on where another one was.
  (void)steps(place.first);
  state_->run.reset();
  state_->place = place;
}

std::shared_ptr<Batch> Loader::next(const std::function<void()>& check) {
  State& state = *state_;
  LoaderRun& run = state.running();
  while (!run.wait(std::chrono::milliseconds(100))) {
    if (check) check();
  }
  std::shared_ptr<Batch> batch;
  try {
    batch = run.next();
  } catch (...) {
    state.run.reset();  // so that the next call tries again
    throw;
  }
  if (batch) {
    state.place.first += state.reader.count;
  } else {
    state.place = {state.place.epoch + 1, 0};
  }
  return batch;
}

std::int64_t Loader::steps(std::int64_t first) const {
  return Schedule(*state_->order, state_->tail, state_->reader.index, state_->reader.count, first)
      .steps();
}

ReadCounts Loader::counts() const { return state_->windows.counts(); }

struct RowGatherer::State {
  State(std::shared_ptr<const Dataset> data, const ReadOptions& options)
      : arena(options.threads),
        windows(std::move(data), options, arena, 4),
        budget(options.memory) {}
  Arena arena;
  WindowReader windows;
  MemoryBudget budget;
};

RowGatherer::RowGatherer(std::shared_ptr<const Dataset> data, const ReadOptions& options)
    : state_(std::make_unique<State>(std::move(data), options)) {}

RowGatherer::~RowGatherer() = default;

const std::vector<std::string>& RowGatherer::genes() const {
  return state_->windows.matrix(0).genes();
}

const ObsValues& RowGatherer::obs(std::size_t column) const { return state_->windows.obs(column); }

std::shared_ptr<Batch> RowGatherer::rows(std::span<const std::int64_t> rows) {
  WindowReader& windows = state_->windows;
  Window window;
  window.batch_size = std::max<std::int64_t>(static_cast<std::int64_t>(rows.size()), 1);
  window.rows.assign(rows.begin(), rows.end());
  for (const std::int64_t row : rows) {
    if (row < 0) throw input_error("row " + std::to_string(row) + ": expected 0 or more");
  }
  const auto work = windows.plan(std::move(window), {{0, 0}});
  work->memory = state_->budget.reserve(windows.cost(*work), "rows that were asked for");
  windows.begin(*work);
  state_->arena.for_each(static_cast<std::int64_t>(work->reads.size()), [&](std::int64_t read) {
    windows.fetch(*work, {read, read + 1});
    windows.decode(*work, {read, read + 1});
  });
  return windows.compose(*work, 0);
}

}  // namespace cellmill
