#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "cellmill/comm/pulse.hpp"

namespace cellmill {

/// One rank's part of a step: the work on its thread, and what the main thread does for it. Knows
/// nothing of other ranks.
class LocalWork final : public PulseControl {
 public:
  /// Starts `work` at once. The thread that makes this is the main thread.
  explicit LocalWork(const std::function<void(PulseControl&)>& work);
  /// Asks the work to stop and waits for it.
  ~LocalWork() override;

  // For the work ------------------------------------------------------------------------------
  void add(std::int64_t cells, std::int64_t bytes) override;
  void check() const override;
  [[nodiscard]] bool stopping() const override { return stopping_; }
  void on_main(const std::function<void()>& call) override;

  // For the main thread -----------------------------------------------------------------------
  enum class Event { none, call, ended };
  /// Waits until the work wants a call on this thread or has ended, at most `nap`.
  [[nodiscard]] Event wait(std::chrono::steady_clock::duration nap);
  /// Runs the calls that are waiting.
  void run_calls();
  /// The work is to end: check() and on_main() throw from now on.
  void stop();
  [[nodiscard]] std::int64_t cells() const { return cells_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  /// What left the work, once it has ended.
  [[nodiscard]] std::exception_ptr failure() const;

 private:
  struct Call {
    const std::function<void()>* function = nullptr;
    std::exception_ptr failure;
    bool done = false;
  };

  const std::thread::id main_thread_ = std::this_thread::get_id();
  std::atomic<std::int64_t> cells_{0};
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;
  std::condition_variable for_main_;
  std::condition_variable for_work_;
  std::deque<Call*> waiting_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::jthread thread_;  ///< last: it uses the rest
};

}  // namespace cellmill
