#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "cellmill/analysis/run.hpp"
#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// What the threads of one rank did in one pass, in seconds summed over threads.
class PassClock {
 public:
  enum class Stage { reading, decoding, computing, writing };

  explicit PassClock(const Communicator& comm) : comm_(comm) {}

  /// Adds the time until it dies to a stage.
  class Timed {
   public:
    Timed(PassClock& clock, Stage stage) : clock_(clock), stage_(stage) {}
    ~Timed() { clock_.add(stage_, std::chrono::steady_clock::now() - start_); }
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;

   private:
    PassClock& clock_;
    Stage stage_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  };

  [[nodiscard]] Timed time(Stage stage) { return {*this, stage}; }
  void count(std::int64_t cells, std::int64_t bytes) {
    cells_ += cells;
    bytes_ += bytes;
  }

  /// What has been measured since construction; waiting is the threads' time that no stage accounts
  /// for, while the rank did not wait for others.
  [[nodiscard]] RunSummary::Timing timing(std::string pass, int threads) const {
    RunSummary::Timing timing;
    timing.rank = comm_.rank();
    timing.pass = std::move(pass);
    timing.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    timing.reading = seconds(Stage::reading);
    timing.decoding = seconds(Stage::decoding);
    timing.computing = seconds(Stage::computing);
    timing.writing = seconds(Stage::writing);
    timing.communicating = comm_.cost().seconds() - talked_before_;
    const double busy = timing.decoding + timing.computing + timing.writing;
    timing.waiting = std::max(0.0, (timing.seconds - timing.communicating) * threads - busy);
    timing.bytes = bytes_;
    timing.cells = cells_;
    return timing;
  }

 private:
  void add(Stage stage, std::chrono::steady_clock::duration time) {
    nanoseconds_[static_cast<std::size_t>(stage)] +=
        std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }
  [[nodiscard]] double seconds(Stage stage) const {
    return 1e-9 * static_cast<double>(nanoseconds_[static_cast<std::size_t>(stage)]);
  }

  const Communicator& comm_;
  double talked_before_ = comm_.cost().seconds();
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::array<std::atomic<std::int64_t>, 4> nanoseconds_{};
  std::atomic<std::int64_t> cells_{0};
  std::atomic<std::int64_t> bytes_{0};
};

}  // namespace cellmill
