#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace cellmill {

/// What a rank does while it waits for others, so that a rank that died is noticed: it says every
/// second that it is there, to rank 0, and rank 0 to all; who is not heard of for too long is dead.
/// As in the pulse, but for collectives and messages. Time is given, so that tests make it up.
class Vigil {
 public:
  using Clock = std::chrono::steady_clock;

  Vigil(int rank, int size, Clock::duration silence)
      : rank_(rank), silence_(silence), heard_(static_cast<std::size_t>(size)) {}

  /// A wait begins.
  void begin(Clock::time_point now) {
    last_ = now;
    waited_ = {};
    next_word_ = every;
    std::fill(heard_.begin(), heard_.end(), Clock::duration{});
  }
  /// Something came from this rank.
  void heard(int rank) { heard_[static_cast<std::size_t>(rank)] = waited_; }

  struct Turn {
    bool speak = false;         ///< say that this rank is there
    std::optional<int> silent;  ///< a rank that counts as dead
    Clock::duration quiet{};    ///< for so long
  };
  /// One look around; to be called at least every quarter of a second.
  [[nodiscard]] Turn turn(Clock::time_point now) {
    // A process that was suspended heard nothing: that time is nobody's silence.
    waited_ += std::min<Clock::duration>(now - last_, std::chrono::milliseconds(250));
    last_ = now;
    Turn turn;
    if (waited_ >= next_word_) {
      turn.speak = true;
      next_word_ = waited_ + every;
    }
    const auto first = static_cast<std::size_t>(rank_ == 0 ? 1 : 0);
    const std::size_t end = rank_ == 0 ? heard_.size() : 1;
    // Higher ranks later, so that one speaks for all when rank 0 is dead.
    const Clock::duration patience = silence_ + silence_ / 16 * std::min(rank_, 8);
    for (std::size_t other = first; other < end; ++other) {
      const Clock::duration quiet = waited_ - heard_[other];
      if (quiet > patience && quiet > turn.quiet) {
        turn.silent = static_cast<int>(other);
        turn.quiet = quiet;
      }
    }
    return turn;
  }

 private:
  static constexpr std::chrono::seconds every{1};

  int rank_;
  Clock::duration silence_;
  std::vector<Clock::duration> heard_;  ///< when, in time waited
  Clock::duration waited_{};
  Clock::duration next_word_{every};
  Clock::time_point last_{};
};

}  // namespace cellmill
