#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/train/loader.hpp"
#include "cellmill/train/schedule.hpp"
#include "train/epoch_plan.hpp"
#include "train/window_reader.hpp"

namespace cellmill {

/// What a run takes and makes batches with; outlives it.
struct LoaderParts {
  std::shared_ptr<const Order> order;
  Tail tail = Tail::drop;
  Loader::Reader reader;
  WindowReader& windows;
  Arena& arena;
  MemoryBudget& budget;
};

/// Batches from one place on, epoch after epoch, made ahead of who takes them: a pass (stream's
/// run_pass) on a thread of its own fetches and decodes the windows in order; batches of windows
/// that are decoded are composed in tasks, a few ahead. Fetching waits while two windows of each
/// lane are on their way and while memory is short; nothing else waits for anything but its turn.
class LoaderRun {
 public:
  LoaderRun(const LoaderParts& parts, Loader::Place from);
  /// Stops and waits for all that is on its way.
  ~LoaderRun();
  LoaderRun(const LoaderRun&) = delete;
  LoaderRun& operator=(const LoaderRun&) = delete;

  /// Waits so long for the next batch. \returns whether next() has something to give or to throw
  [[nodiscard]] bool wait(std::chrono::milliseconds most);
  /// The next batch, after wait() said that it is there; null at the end of an epoch. \throws what
  /// reading threw
  [[nodiscard]] std::shared_ptr<Batch> next();

 private:
  struct Slot {
    bool ends_epoch = false;
    std::shared_ptr<Batch> batch;
    bool ready = false;
  };
  struct Visit {
    std::int64_t epoch = 0;
    const EpochPlan::Visit* plan = nullptr;
  };
  [[nodiscard]] const EpochPlan& plan_of(std::int64_t epoch) const {
    return epoch == from_.epoch ? first_plan_ : full_plan_;
  }
  [[nodiscard]] Visit visit_at(std::int64_t number) const;
  [[nodiscard]] std::int64_t first_visit_of(std::int64_t epoch) const;
  void read();
  /// Memory for batches that are made ahead, and how many they may be.
  void reserve_batches(std::int64_t bytes);
  void begin_visit(std::int64_t number);
  [[nodiscard]] std::shared_ptr<WindowWork> work_of(std::int64_t number);
  [[nodiscard]] Range part_of(const WindowWork& work, std::int64_t item) const;
  void end_visit(std::int64_t number);
  void compose_ahead(std::unique_lock<std::mutex>& lock);
  void compose(std::shared_ptr<WindowWork> work, std::size_t wanted,
               const std::shared_ptr<Slot>& slot);
  void fail(std::exception_ptr error);
  /// Runs `body`; an error of its ends the run.
  template <class Body>
  void failing(Body&& body);

  LoaderParts parts_;
  Loader::Place from_;
  EpochPlan first_plan_;
  EpochPlan full_plan_;
  std::int64_t parts_a_visit_ = 1;
  std::int64_t window_room_ = 0;     ///< memory that windows may have, all of them together
  std::int64_t most_visits_ = 2;     ///< on their way at once
  std::int64_t most_ahead_ = 2;      ///< batches composed and not taken
  MemoryBudget::Reservation ahead_;  ///< for these

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::exception_ptr error_;
  struct Open {
    std::shared_ptr<WindowWork> work;
    bool decoded = false;
    std::int64_t left = 0;  ///< batches that are not composed yet
  };
  std::map<std::int64_t, Open> open_;        ///< visits on their way, by number
  std::int64_t epoch_;                       ///< of the next batch to be composed
  std::int64_t step_ = 0;                    ///< of the next batch to be composed
  std::deque<std::shared_ptr<Slot>> slots_;  ///< in order, from the next to be taken

  Arena::Tasks composing_;
  std::thread thread_;
};

}  // namespace cellmill
