#include "comm/local_work.hpp"

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {

LocalWork::LocalWork(const std::function<void(PulseControl&)>& work)
    : thread_([this, &work] {
        std::exception_ptr failure;
        try {
          work(*this);
        } catch (...) {
          failure = std::current_exception();
        }
        const std::lock_guard lock(mutex_);
        failure_ = std::move(failure);
        ended_ = true;
        for_main_.notify_one();
      }) {}

LocalWork::~LocalWork() { stop(); }

void LocalWork::add(std::int64_t cells, std::int64_t bytes) {
  cells_.fetch_add(cells, std::memory_order_relaxed);
  bytes_.fetch_add(bytes, std::memory_order_relaxed);
}

void LocalWork::check() const {
  if (stopping_) throw stopped_error("the step is stopping");
}

void LocalWork::on_main(const std::function<void()>& call) {
  if (std::this_thread::get_id() == main_thread_) return call();  // from inside another call
  Call mine{&call, nullptr, false};
  std::unique_lock lock(mutex_);
  check();
  waiting_.push_back(&mine);
  for_main_.notify_one();
  const auto place = [&] { return std::find(waiting_.begin(), waiting_.end(), &mine); };
  // A call that the main thread has taken off the queue is waited for in any case.
  for_work_.wait(lock, [&] { return mine.done || (stopping_ && place() != waiting_.end()); });
  if (!mine.done) {
    waiting_.erase(place());
    check();
  }
  if (mine.failure) std::rethrow_exception(mine.failure);
}

LocalWork::Event LocalWork::wait(std::chrono::steady_clock::duration nap) {
  std::unique_lock lock(mutex_);
  const auto called = [&] { return !stopping_ && !waiting_.empty(); };
  for_main_.wait_for(lock, nap, [&] { return ended_ || called(); });
  if (ended_) return Event::ended;
  return called() ? Event::call : Event::none;
}

void LocalWork::run_calls() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !waiting_.empty()) {
    Call& call = *waiting_.front();
    waiting_.pop_front();
    lock.unlock();
    try {
      (*call.function)();
    } catch (...) {
      call.failure = std::current_exception();
    }
    lock.lock();
    call.done = true;
    for_work_.notify_all();
  }
}

void LocalWork::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  for_work_.notify_all();
}

std::exception_ptr LocalWork::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace cellmill
