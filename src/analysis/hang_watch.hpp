#pragma once

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "cellmill/comm/communicator.hpp"
#include "cellmill/comm/pulse.hpp"

namespace cellmill {

/// Reads and writes that are under way, so that one that never ends is noticed: a thread in a hung
/// file system can't be woken, so the job ends with the file's name. Thread-safe.
class HangWatch {
 public:
  using Clock = std::chrono::steady_clock;
  struct Call {
    std::string what;  ///< `plate7.h5ad: X: reading rows 0 to 2000`
    Clock::time_point since;
  };

  /// A call that is under way until this dies.
  class UnderWay {
   public:
    UnderWay(HangWatch& watch, std::string what);
    ~UnderWay();
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

   private:
    HangWatch& watch_;
    std::list<Call>::iterator call_;
  };

  /// The oldest of them, if it began before `than`.
  [[nodiscard]] std::optional<Call> older(Clock::time_point than) const;

 private:
  mutable std::mutex mutex_;
  std::list<Call> calls_;  ///< in the order in which they began
};

/// While it lives, a call that takes longer than `patience` ends the job.
class HangGuard {
 public:
  HangGuard(const HangWatch& watch, HangWatch::Clock::duration patience, Communicator& comm,
            PulseControl& control);

 private:
  std::jthread thread_;
};

}  // namespace cellmill
