#pragma once

#include <string>

#include "analysis/run_passes.hpp"

namespace cellmill {

/// Keeps in `run.exchanges` what collectives cost this rank while it lives; rank 0 says so if that
/// is more than a second.
class Exchange {
 public:
  /// Whether a pass's own clock runs, or the time belongs to the pass before.
  enum class Within { own_clock, last_pass };

  /// \param what is told to other ranks, e.g. `gene sums`
  Exchange(RunContext& run, std::string what, Within within);
  ~Exchange();
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

 private:
  RunContext& run_;
  std::string what_;
  Within within_;
  Communicator::Cost before_;
  int exceptions_;
};

}  // namespace cellmill
