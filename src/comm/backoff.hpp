#pragma once

#include <algorithm>
#include <chrono>
#include <thread>

namespace cellmill {

/// Pauses of a polling wait: they grow with the time waited, so that a short wait ends at once and
/// a long one costs no CPU.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  void pause() const {
    using std::chrono::microseconds;
    const auto waited = this->waited();
    if (waited < microseconds(100)) {
      std::this_thread::yield();
      return;
    }
    std::this_thread::sleep_for(
        std::clamp<Clock::duration>(waited / 8, microseconds(50), microseconds(2000)));
  }
  [[nodiscard]] Clock::duration waited() const { return Clock::now() - start_; }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace cellmill
