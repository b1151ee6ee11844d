#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

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
  virtual ~PulseControl() = default;
  /// Adds to this rank's progress.
  virtual void add(std::int64_t cells, std::int64_t bytes) = 0;
  /// \throws Error(stopped) once any rank failed or was asked to stop; call it often (each segment)
  virtual void check() const = 0;
  [[nodiscard]] virtual bool stopping() const = 0;
  /// Runs `call` on the main thread (MPI-IO must be there) and waits until it is done; rethrows
  /// what it throws.
  virtual void on_main(const std::function<void()>& call) = 0;
};

struct PulseOptions {
  std::chrono::milliseconds interval{250};  ///< between messages to and from rank 0
  std::chrono::seconds silence{20};  ///< after which a rank counts as dead and the job is aborted
  std::int64_t share = 0;            ///< this rank's cells, to find the slowest
  std::function<void(const PulseProgress&)> on_progress;  ///< rank 0, each interval
};

/// **Collective.** Runs `work` on a thread of its own while this thread keeps the pulse: every rank
/// reports to rank 0, which sends back the sums, the first error and stop requests (core/stop.hpp).
/// Returns when the work of all ranks is done. If it failed anywhere, every rank throws the same
/// error, the lowest failing rank's, which then names it
/// (`rank 3: …` where there are several); if a stop was asked for, all throw Error(stopped). A rank
/// that says nothing for `silence` is named and the job aborted.
void with_pulse(Communicator& comm, const std::function<void(PulseControl&)>& work,
                const PulseOptions& options = {});

}  // namespace cellmill
