#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "cellmill/analysis/run.hpp"
#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// The folder that an interrupted run is gone on from, on a file system that all ranks share.
///
///     run.json           which run: an id, and the fingerprint of its inputs and options
///     counts.json        of a pass that was begun: which attempt's files count, of how many ranks
///     counts.2.0         what rank 0 did, as of its last checkpoint; 2: of the second attempt
///     counts.2.0.cells   values of its cells, at their places; only what counts.2.0 names is valid
///
/// A resume reads the files of an attempt, whatever the number of ranks, shares what is in them out
/// among the ranks of now, and begins the next attempt; what a straggler of an earlier one still
/// writes is not looked at.
class Checkpoint {
 public:
  /// **Collective.** Begins one, or finds what an earlier run left, as `options` has it.
  /// \throws Error(input) if it is of other inputs or options, or is there and not to be gone on
  /// with; Error(io) if the folder can't be written, or a rank doesn't see what another wrote
  Checkpoint(const RunOptions& options, const std::string& fingerprint, Communicator& comm);

  /// What tells this run, over all its attempts, from any other.
  [[nodiscard]] const std::string& run() const { return run_; }
  /// Whether there was something to go on from.
  [[nodiscard]] bool resumed() const { return resumed_; }
  [[nodiscard]] double seconds() const { return seconds_; }  ///< between checkpoints

  /// Whose files of a pass count.
  struct Attempt {
    int number = 0;
    int ranks = 0;
  };
  /// None if the pass was not begun.
  [[nodiscard]] std::optional<Attempt> attempt(const std::string& pass) const;
  [[nodiscard]] std::filesystem::path file(const std::string& pass, int attempt, int rank) const;
  /// From now on this attempt's files count; all others of the pass are removed. One rank.
  void set_attempt(const std::string& pass, const Attempt& attempt) const;
  /// What the pass did doesn't count any more. One rank.
  void forget(const std::string& pass) const;
  /// The run is done: removes all files. One rank.
  void remove() const;

 private:
  void begin(const RunOptions& options, const std::string& fingerprint);

  std::filesystem::path folder_;
  std::string run_;
  bool resumed_ = false;
  double seconds_;
};

}  // namespace cellmill
