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

/// An item between fetch and processing, with the memory it was granted.
struct InFlight {
  MemoryBudget::Reservation memory;
  std::unique_ptr<Fetched> fetched;
};

}  // namespace

void run_pass(const Pass& pass, const PassResources& resources) {
  FirstError error;
  Arena::Tasks tasks(resources.arena);
  std::counting_semaphore<> places(2 * resources.arena.threads() + resources.io_threads);
  std::mutex order;  // taking a number and waiting for its memory belong together: items are
                     // granted in order
  std::int64_t next = 0;

  const auto process = [&](std::int64_t item, const std::shared_ptr<InFlight>& in_flight) {
    try {
      if (!error.failed()) pass.process(item, *in_flight->fetched);
    } catch (...) {
      error.keep(std::current_exception());
    }
    // Buffers before their reservation, and both before the place: what is granted next is really
    // free.
    in_flight->fetched.reset();
    in_flight->memory = {};
    places.release();
  };

  const auto fetch_items = [&] {
    while (!error.failed()) {
      places.acquire();
      std::int64_t item = 0;
      auto in_flight = std::make_shared<InFlight>();
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
        places.release();
        return;
      }
      tasks.run([&process, item, in_flight] { process(item, in_flight); });
    }
  };

  std::vector<std::thread> fetchers;
  for (int i = 0; i < resources.io_threads; ++i) fetchers.emplace_back(fetch_items);
  for (std::thread& fetcher : fetchers) fetcher.join();
  tasks.wait();
  error.rethrow();
}

struct InOrder::State {
  std::mutex mutex;
  std::map<std::int64_t, std::function<void()>> waiting;
  std::int64_t next = 0;
  bool delivering = false;
};

InOrder::InOrder() : state_(std::make_unique<State>()) {}
InOrder::~InOrder() = default;

void InOrder::push(std::int64_t item, std::function<void()> deliver) {
  std::unique_lock lock(state_->mutex);
  state_->waiting.emplace(item, std::move(deliver));
  if (state_->delivering) return;
  state_->delivering = true;
  while (!state_->waiting.empty() && state_->waiting.begin()->first == state_->next) {
    const std::function<void()> call = std::move(state_->waiting.begin()->second);
    state_->waiting.erase(state_->waiting.begin());
    lock.unlock();
    call();  // if it throws, `delivering` stays set: nothing more is delivered
    lock.lock();
    ++state_->next;
  }
  state_->delivering = false;
}

}  // namespace cellmill
