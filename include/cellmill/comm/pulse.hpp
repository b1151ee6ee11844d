#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// How far a step is, over all ranks.
struct PulseProgress {
  std::int64_t cells = 0;
  std::int64_t bytes = 0;
  int slowest_rank = 0;  ///< the one with the fewest cells done of its share
};

/// What the work sees of the pulse. Thread-safe.
class PulseControl {
 public:
  PulseControl() = default;
  PulseControl(const PulseControl&) = delete;
  PulseControl& operator=(const PulseControl&) = delete;
  virtual ~PulseControl() = default;
  /// Adds to this rank's progress.
  virtual void add(std::int64_t cells, std::int64_t bytes) = 0;
  /// \throws Error(stopped) once any rank failed or was asked to stop; call it often (each segment)
  virtual void check() const = 0;
  [[nodiscard]] virtual bool stopping() const = 0;
  /// Runs `call` on the main thread (MPI-IO must be there) and waits until it is done; rethrows
  /// what it throws. \throws Error(stopped) instead of running it once the step is stopping
  virtual void on_main(const std::function<void()>& call) = 0;
};

/// What a stop that is asked for means to a step: its end, or nothing, because the step is the last
/// and what it does is better finished.
enum class StopRequests { end_it, come_too_late };

struct PulseOptions {
  std::chrono::milliseconds interval{250};  ///< between messages to and from rank 0
  std::chrono::milliseconds silence{
      20'000};  ///< after which a rank counts as dead: the job is aborted
  /// The same for a rank inside an on_main call: a file system may stall much longer.
  std::chrono::milliseconds call_silence{600'000};
  StopRequests stop_requests = StopRequests::end_it;  ///< the same on every rank
  std::int64_t share = 0;                             ///< this rank's cells, to find the slowest
  /// On rank 0, each interval and once more when all is done.
  std::function<void(const PulseProgress&)> on_progress;
};

/// **Collective.** Runs `work` on a thread of its own while this thread keeps the pulse: every rank
/// reports to rank 0, which tells all of the first error and of stop requests (core/stop.hpp).
/// Returns when the work of all ranks is done. If it failed anywhere, every rank throws the same
/// error, the lowest failing rank's, which then names it
/// (`rank 3: …` where there are several); if a stop was asked for, all throw Error(stopped). A rank
/// that says nothing for `silence` is named and the job aborted; one that ends without the step is
/// an Error(comm) everywhere.
void with_pulse(Communicator& comm, const std::function<void(PulseControl&)>& work,
                const PulseOptions& options = {});

}  // namespace cellmill
