#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "analysis/checkpoint.hpp"
#include "analysis/checkpoint_file.hpp"
#include "analysis/run_inputs.hpp"

namespace cellmill {

/// What a pass has that a checkpoint must hold. Whatever is empty or null it has not.
struct PassParts {
  std::string name;  ///< of the files
  /// Writes this rank's sums, while nothing is added to them.
  std::function<void(CheckpointWriter&)> save;
  /// Adds the sums of another rank's file to this one's.
  std::function<void(const CheckpointReader&)> absorb;
  std::vector<double>* cell_values = nullptr;           ///< one for each kept cell of this rank
  std::vector<std::int64_t>* segment_values = nullptr;  ///< one for each of this rank's segments

  // A pass that writes rows, and so has no sums:
  std::function<RowsOfArrays()> written;  ///< rows that this rank wrote
  /// Whether a segment has all its rows among those written.
  std::function<bool(const RowsOfArrays&, std::int64_t segment)> covered;
  std::filesystem::path output;  ///< synced before a checkpoint says what is in it
};

/// One rank's progress in a pass over its segments, which a checkpoint keeps if the run has one.
/// Without, every segment is to be done and nothing is written.
class PassCheckpoint {
 public:
  PassCheckpoint(const Checkpoint* checkpoint, const CellPlan& plan, Communicator& comm,
                 PassParts parts);
  PassCheckpoint(const PassCheckpoint&) = delete;
  PassCheckpoint& operator=(const PassCheckpoint&) = delete;
  ~PassCheckpoint() = default;

  /// **Collective.** Takes over what earlier attempts did, before the pass begins.
  void restore();

  /// This rank's segments that are to be done, numbered from its first.
  [[nodiscard]] const std::vector<std::int64_t>& todo() const { return todo_; }
  /// Kept cells that are to be done, by all ranks and by this one.
  [[nodiscard]] std::int64_t cells_of_all() const { return cells_of_all_; }
  [[nodiscard]] std::int64_t cells_of_mine() const { return cells_of_mine_; }
  /// Rows that earlier attempts wrote, of all ranks.
  [[nodiscard]] const RowsOfArrays& rows_done() const { return rows_done_; }

  /// Runs what adds segment `at` to the sums: a checkpoint has all of it or nothing. Thread-safe.
  void add(std::int64_t at, const std::function<void()>& work);

  /// Writes a checkpoint of now. \throws Error(io)
  void save();
  /// The same; what fails is told once and can be tried again.
  void save_or_warn();

  /// Saves every so often on a thread of its own while it lives.
  class Saver {
   public:
    explicit Saver(PassCheckpoint& pass);

   private:
    std::jthread thread_;
  };

 private:
  void take_over(const Checkpoint::Attempt& attempt);
  void take_values(const CheckpointReader& file, const std::filesystem::path& cells);
  void write_cells(const RangeSet& segments);
  void find_todo();
  [[nodiscard]] Range cells_of(std::int64_t segment, Range of) const;

  const Checkpoint* checkpoint_;
  const CellPlan& plan_;
  Communicator& comm_;
  PassParts parts_;
  int attempt_ = 1;

  std::vector<std::int64_t> todo_;
  std::int64_t cells_of_all_ = 0;
  std::int64_t cells_of_mine_ = 0;
  RangeSet done_;  ///< segments that earlier attempts did, of all ranks
  RowsOfArrays rows_done_;
  RowsOfArrays rows_kept_;  ///< those that this rank's file goes on to name

  std::mutex mutex_;
  std::condition_variable changed_;
  int adding_ = 0;       ///< calls of add() that are at work
  bool saving_ = false;  ///< add() waits
  RangeSet added_;       ///< segments in this rank's sums
  RangeSet valued_;      ///< of its own segments, those whose values are known

  std::mutex one_save_;
  RangeSet cells_written_;
  bool warned_ = false;
};

}  // namespace cellmill
