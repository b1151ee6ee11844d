#include "cellmill/stream/pipeline.hpp"

#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <semaphore>
#include <thread>
#include <utility>
#include <vector>

namespace cellmill {
namespace {

/// The first exception of many threads; the rest are consequences or repeats.
class FirstError {
 public:
  void keep(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    failed_ = true;
  }
  [[nodiscard]] bool failed() const { return failed_; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  std::atomic<bool> failed_{false};
};

/// An item on its way, with the memory it was granted. Members die in reverse order: the buffers
/// before the memory they were counted against, so that what is granted next is really free.
struct InFlight {
  MemoryBudget::Reservation memory;
  std::unique_ptr<Fetched> fetched;
};

/// Puts what tasks finish in any order back in order. An item that waits for its turn keeps its
/// memory and its place, which bounds them; it can't deadlock, because items are fetched in order:
/// the one whose turn it is, is in flight.
class InOrder {
 public:
  explicit InOrder(std::function<void(std::int64_t, InFlight&)> deliver)
      : deliver_(std::move(deliver)) {}

  void push(std::int64_t item, std::unique_ptr<InFlight> in_flight) {
    std::unique_lock lock(mutex_);
    waiting_.emplace(item, std::move(in_flight));
    if (delivering_) return;
    delivering_ = true;
    while (!waiting_.empty() && waiting_.begin()->first == next_) {
      const std::unique_ptr<InFlight> first = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      lock.unlock();
      deliver_(next_, *first);
      lock.lock();
      ++next_;
    }
    delivering_ = false;
  }

 private:
  std::function<void(std::int64_t, InFlight&)> deliver_;
  std::mutex mutex_;
  std::map<std::int64_t, std::unique_ptr<InFlight>> waiting_;
  std::int64_t next_ = 0;
  bool delivering_ = false;
};

}  // namespace

void run_pass(const Pass& pass, const PassResources& resources) {
  FirstError error;
  Arena::Tasks tasks(resources.arena);
  std::counting_semaphore<> places(resources.arena.threads() + resources.io_threads);
  std::mutex order;  // taking a number and waiting for its memory are one step: granted in order
  std::int64_t next = 0;

  const auto guarded = [&](const std::function<void(std::int64_t, Fetched&)>& stage,
                           std::int64_t item, InFlight& at) {
    try {
      if (stage && !error.failed()) stage(item, *at.fetched);
    } catch (...) {
      error.keep(std::current_exception());
    }
  };
  const auto leave = [&](InFlight& at) {
    at.fetched.reset();
    at.memory = {};
    places.release();
  };
  InOrder in_order([&](std::int64_t item, InFlight& at) {
    guarded(pass.deliver, item, at);
    leave(at);
  });
  const auto hand_on = [&](std::int64_t item, std::unique_ptr<InFlight> at) {
    if (pass.deliver) {
      in_order.push(item, std::move(at));
    } else {
      leave(*at);
    }
  };

  const auto fetch_items = [&] {
    while (!error.failed()) {
      places.acquire();
      std::int64_t item = 0;
      auto in_flight = std::make_unique<InFlight>();
      try {
        {
          const std::lock_guard lock(order);
          if (next >= pass.count || error.failed()) {
            places.release();
            return;
          }
          item = next++;
          in_flight->memory = resources.budget.wait_for(pass.cost(item));
        }
        if (pass.check) pass.check();
        in_flight->fetched = pass.fetch(item);
      } catch (...) {
        error.keep(std::current_exception());
        hand_on(item, std::move(in_flight));  // so that later items don't wait for this one's turn
        return;
      }
      // std::function copies, so the task carries a plain pointer; a task always runs, errors only
      // empty its stages.
      tasks.run([&, item, carried = in_flight.release()] {
        std::unique_ptr<InFlight> mine(carried);
        guarded(pass.process, item, *mine);
        hand_on(item, std::move(mine));
      });
    }
  };

  std::vector<std::thread> fetchers;
  for (int i = 0; i < resources.io_threads; ++i) fetchers.emplace_back(fetch_items);
  for (std::thread& fetcher : fetchers) fetcher.join();
  tasks.wait();
  error.rethrow();
}

}  // namespace cellmill
