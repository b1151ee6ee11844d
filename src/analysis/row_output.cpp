#include "analysis/row_output.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>

namespace cellmill {
namespace {

class UnitOutput final : public RowOutput {
 public:
  UnitOutput(std::unique_ptr<ArrayWriter> writer, std::size_t row_bytes, std::vector<Range> ranges,
             int rank, const UnitTasks& tasks, RangeSet done)
      : writer_(std::move(writer)),
        row_bytes_(row_bytes),
        ranges_(std::move(ranges)),
        rank_(rank),
        unit_(writer_->unit_rows()),
        next_(ranges_[static_cast<std::size_t>(rank)].begin),
        own_begin_(first_own_row(rank)),
        done_(std::move(done)),
        at_once_(tasks.at_once) {
    if (at_once_ > 0) tasks_.emplace(*tasks.arena);
  }

  void append(std::span<const std::byte> rows) override {
    while (!rows.empty()) {
      // Up to the next border: the end of the head that belongs to an earlier rank, or of a unit.
      const std::int64_t border = next_ < own_begin_ ? own_begin_ : (next_ / unit_ + 1) * unit_;
      const auto bytes =
          std::min(rows.size(), static_cast<std::size_t>(border - next_) * row_bytes_);
      std::vector<std::byte>& to = next_ < own_begin_ ? head_ : unit_rows_;
      if (!is_done(next_)) {
        if (unit_rows_.empty()) unit_rows_.reserve(most_unit_bytes());
        to.insert(to.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(bytes));
      }
      const bool in_own = next_ >= own_begin_;
      next_ += static_cast<std::int64_t>(bytes / row_bytes_);
      rows = rows.subspan(bytes);
      if (in_own && next_ == border && !unit_rows_.empty()) write_unit(border - unit_);
    }
  }

  void skip(std::int64_t rows) override { next_ += rows; }

  [[nodiscard]] RangeSet written() const override {
    const std::lock_guard lock(mutex_);
    return written_;
  }

  /// Everyone knows all ranges, so everyone knows who sends what to whom: heads go to their unit's
  /// owner, in order.
  void exchange(Communicator& comm) override {
    if (sends_head(rank_)) {
      comm.send(head_, owner(ranges_[static_cast<std::size_t>(rank_)].begin));
      head_ = std::vector<std::byte>();
    }
    for (int rank = rank_ + 1; rank < comm.size(); ++rank) {
      const std::int64_t begin = ranges_[static_cast<std::size_t>(rank)].begin;
      if (!sends_head(rank) || owner(begin) != rank_) continue;
      const std::vector<std::byte> head = comm.receive(rank);
      unit_rows_.insert(unit_rows_.end(), head.begin(), head.end());
      next_ = begin + head_rows(rank);
    }
  }

  void finish() override {
    if (!unit_rows_.empty()) write_unit((next_ - 1) / unit_ * unit_);
    if (tasks_) tasks_->wait();
  }

 private:
  /// The first row of `rank` that begins a unit, or the end of its rows.
  [[nodiscard]] std::int64_t first_own_row(int rank) const {
    const Range rows = ranges_[static_cast<std::size_t>(rank)];
    return std::min((rows.begin + unit_ - 1) / unit_ * unit_, rows.end);
  }
  /// The rows at the head of `rank` that belong to a unit of an earlier rank.
  [[nodiscard]] std::int64_t head_rows(int rank) const {
    return first_own_row(rank) - ranges_[static_cast<std::size_t>(rank)].begin;
  }
  [[nodiscard]] bool sends_head(int rank) const {
    return head_rows(rank) > 0 && !is_done(ranges_[static_cast<std::size_t>(rank)].begin);
  }
  /// Rows of the unit that begins at `first_row`.
  [[nodiscard]] Range unit_at(std::int64_t first_row) const {
    return {first_row, std::min(first_row + unit_, ranges_.back().end)};
  }
  /// Whether the unit that `row` lies in was written by an earlier run.
  [[nodiscard]] bool is_done(std::int64_t row) const {
    return done_.contains(unit_at(row / unit_ * unit_));
  }
  /// Who writes the unit that `row` lies in: the rank whose rows hold the unit's first one.
  [[nodiscard]] int owner(std::int64_t row) const {
    const std::int64_t begin = row / unit_ * unit_;
    int rank = 0;
    while (ranges_[static_cast<std::size_t>(rank)].end <= begin) ++rank;
    return rank;
  }

  /// What a unit takes: growing into it would take twice as much.
  [[nodiscard]] std::size_t most_unit_bytes() const {
    return static_cast<std::size_t>(std::min(unit_, ranges_.back().end)) * row_bytes_;
  }

  void write_unit(std::int64_t first_row) {
    if (!tasks_ || waiting_ >= at_once_) {
      writer_->write_rows(first_row, unit_rows_);
      note(first_row);
      unit_rows_.clear();
      return;
    }
    ++waiting_;
    tasks_->run([this, first_row, rows = std::move(unit_rows_)] {
      writer_->write_rows(first_row, rows);
      note(first_row);
      --waiting_;
    });
    unit_rows_ = {};
  }

  void note(std::int64_t first_row) {
    const std::lock_guard lock(mutex_);
    written_.add(unit_at(first_row));
  }

  std::unique_ptr<ArrayWriter> writer_;
  std::size_t row_bytes_;
  std::vector<Range> ranges_;
  int rank_;
  std::int64_t unit_;
  std::int64_t next_;       ///< the row that append expects
  std::int64_t own_begin_;  ///< rows from here on are written by this rank
  RangeSet done_;
  mutable std::mutex mutex_;  ///< of written_
  RangeSet written_;
  std::vector<std::byte> head_;
  std::vector<std::byte> unit_rows_;  ///< of the unit being filled
  int at_once_;
  std::atomic<int> waiting_{0};        ///< units that tasks have
  std::optional<Arena::Tasks> tasks_;  ///< last: waits for them before anything else dies
};

class PlacedOutput final : public RowOutput {
 public:
  PlacedOutput(ParallelRows& file, std::string dataset, std::size_t row_bytes,
               std::int64_t first_row, PulseControl& control)
      : file_(file),
        dataset_(std::move(dataset)),
        row_bytes_(row_bytes),
        next_(first_row),
        control_(control) {}

  void append(std::span<const std::byte> rows) override {
    if (rows.empty()) return;
    control_.on_main([&] { file_.write(dataset_, next_, rows); });
    const std::int64_t first = next_;
    skip(static_cast<std::int64_t>(rows.size() / row_bytes_));
    const std::lock_guard lock(mutex_);
    written_.add({first, next_});
  }
  void skip(std::int64_t rows) override { next_ += rows; }
  [[nodiscard]] RangeSet written() const override {
    const std::lock_guard lock(mutex_);
    return written_;
  }
  void exchange(Communicator& /*comm*/) override {}
  void finish() override {}

 private:
  ParallelRows& file_;
  std::string dataset_;
  std::size_t row_bytes_;
  std::int64_t next_;
  PulseControl& control_;
  mutable std::mutex mutex_;  ///< of written_
  RangeSet written_;
};

}  // namespace

std::unique_ptr<RowOutput> make_unit_output(std::unique_ptr<ArrayWriter> writer,
                                            std::size_t row_bytes, std::vector<Range> ranges,
                                            int rank, const UnitTasks& tasks, RangeSet done) {
  return std::make_unique<UnitOutput>(std::move(writer), row_bytes, std::move(ranges), rank, tasks,
                                      std::move(done));
}

std::unique_ptr<RowOutput> make_placed_output(ParallelRows& file, std::string dataset,
                                              std::size_t row_bytes, std::int64_t first_row,
                                              PulseControl& control) {
  return std::make_unique<PlacedOutput>(file, std::move(dataset), row_bytes, first_row, control);
}

}  // namespace cellmill
