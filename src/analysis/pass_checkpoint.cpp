#include "analysis/pass_checkpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <optional>
#include <span>
#include <utility>

#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

constexpr const char* segment_values_block = "segment values";

/// Values of cells at their places in a file of one rank.
class CellsFile {
 public:
  CellsFile(fs::path path, int flags) : path_(std::move(path)) {
    file_ = ::open(path_.c_str(), flags | O_CLOEXEC, 0666);
    if (file_ < 0) fail("open");
  }
  CellsFile(const CellsFile&) = delete;
  CellsFile& operator=(const CellsFile&) = delete;
  ~CellsFile() { ::close(file_); }

  void write(std::int64_t first, std::span<const double> values) const {
    auto bytes = std::as_bytes(values);
    auto offset = static_cast<off_t>(first) * static_cast<off_t>(sizeof(double));
    while (!bytes.empty()) {
      const ssize_t written = ::pwrite(file_, bytes.data(), bytes.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write");
      bytes = bytes.subspan(static_cast<std::size_t>(written));
      offset += written;
    }
  }
  void read(std::int64_t first, std::span<double> values) const {
    auto bytes = std::as_writable_bytes(values);
    auto offset = static_cast<off_t>(first) * static_cast<off_t>(sizeof(double));
    while (!bytes.empty()) {
      const ssize_t got = ::pread(file_, bytes.data(), bytes.size(), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail("read");
      if (got == 0) {
        throw input_error(path_.string() + ": the checkpoint is damaged: it ends early");
      }
      bytes = bytes.subspan(static_cast<std::size_t>(got));
      offset += got;
    }
  }
  void sync() const {
    if (::fdatasync(file_) != 0) fail("sync");
  }

 private:
  [[noreturn]] void fail(const char* doing) const {
    throw io_error(fmt::format("{}: can't {}: {}", path_.string(), doing, std::strerror(errno)));
  }
  fs::path path_;
  int file_ = -1;
};

fs::path cells_of_file(fs::path path) {
  path += ".cells";
  return path;
}

}  // namespace

PassCheckpoint::PassCheckpoint(const Checkpoint* checkpoint, const CellPlan& plan,
                               Communicator& comm, PassParts parts)
    : checkpoint_(checkpoint), plan_(plan), comm_(comm), parts_(std::move(parts)) {}

void PassCheckpoint::restore() {
  if (checkpoint_ != nullptr) {
    with_pulse(comm_, [&](PulseControl&) {
      const auto earlier = checkpoint_->attempt(parts_.name);
      if (!earlier) return;
      attempt_ = earlier->number + 1;
      take_over(*earlier);
      save();
    });
    // The files of all ranks are there: from now on they are what counts.
    with_pulse(comm_, [&](PulseControl&) {
      if (comm_.rank() == 0) checkpoint_->set_attempt(parts_.name, {attempt_, comm_.size()});
    });
  }
  find_todo();
}

void PassCheckpoint::take_over(const Checkpoint::Attempt& attempt) {
  RangeSet valued;
  for (int rank = 0; rank < attempt.ranks; ++rank) {
    const fs::path path = checkpoint_->file(parts_.name, attempt.number, rank);
    std::error_code ignored;
    if (!fs::exists(path, ignored)) continue;  // it had no time for a checkpoint
    const CheckpointReader file(path);
    const CheckpointHead& head = file.head();
    if (head.run != checkpoint_->run()) {
      throw input_error(path.string() + ": the checkpoint is damaged: it is another run's");
    }
    const std::int64_t before = done_.size();
    done_.add(head.added);
    valued.add(head.valued);
    if (done_.size() != before + head.added.size()) {
      throw input_error(path.string() +
                        ": the checkpoint is damaged: a segment is in it that another has, too");
    }
    for (const auto& [name, rows] : head.rows) rows_done_[name].add(rows);
    take_values(file, cells_of_file(path));
    if (rank % comm_.size() != comm_.rank()) continue;
    if (parts_.absorb) parts_.absorb(file);
    added_.add(head.added);
    for (const auto& [name, rows] : head.rows) rows_kept_[name].add(rows);
  }
  if (valued != done_) {
    throw input_error(fmt::format(
        "{}: the checkpoint is damaged: sums of {} segments, values of {}",
        checkpoint_->file(parts_.name, attempt.number, 0).string(), done_.size(), valued.size()));
  }
}

/// What belongs to the cells and segments that are this rank's now.
void PassCheckpoint::take_values(const CheckpointReader& file, const fs::path& cells) {
  std::vector<std::int64_t> segment_values;
  if (parts_.segment_values != nullptr) {
    segment_values = file.read<std::int64_t>(segment_values_block,
                                             static_cast<std::size_t>(file.head().valued.size()));
  }
  std::optional<CellsFile> values;
  std::size_t place = 0;
  for (const Range& range : file.head().valued.ranges()) {
    for (std::int64_t segment = range.begin; segment < range.end; ++segment, ++place) {
      if (segment < plan_.mine.begin || segment >= plan_.mine.end) continue;
      valued_.add({segment, segment + 1});
      if (parts_.segment_values != nullptr) {
        (*parts_.segment_values)[static_cast<std::size_t>(segment - plan_.mine.begin)] =
            segment_values[place];
      }
      if (parts_.cell_values == nullptr) continue;
      if (!values) values.emplace(cells, O_RDONLY);
      const Range here = cells_of(segment, plan_.mine);
      values->read(cells_of(segment, file.head().mine).begin,
                   std::span(*parts_.cell_values)
                       .subspan(static_cast<std::size_t>(here.begin),
                                static_cast<std::size_t>(here.size())));
    }
  }
}

/// A segment's kept cells, counted from the first of segments [of).
Range PassCheckpoint::cells_of(std::int64_t segment, Range of) const {
  const std::int64_t first = plan_.rows_of_segment(of.begin).begin;
  const Range rows = plan_.rows_of_segment(segment);
  return {rows.begin - first, rows.end - first};
}

void PassCheckpoint::find_todo() {
  todo_.clear();
  cells_of_all_ = 0;
  cells_of_mine_ = 0;
  for (std::int64_t at = 0; at < static_cast<std::int64_t>(plan_.segments.size()); ++at) {
    const bool done = parts_.covered ? parts_.covered(rows_done_, at) : done_.contains(at);
    if (done) continue;
    const std::int64_t cells = plan_.rows_of_segment(at).size();
    cells_of_all_ += cells;
    if (at < plan_.mine.begin || at >= plan_.mine.end) continue;
    cells_of_mine_ += cells;
    todo_.push_back(at - plan_.mine.begin);
  }
}

void PassCheckpoint::add(std::int64_t at, const std::function<void()>& work) {
  if (checkpoint_ == nullptr) return work();
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !saving_; });
    ++adding_;
  }
  const auto leave = [&] {
    --adding_;
    changed_.notify_all();
  };
  try {
    work();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    leave();
    throw;
  }
  const std::lock_guard lock(mutex_);
  const std::int64_t segment = plan_.mine.begin + at;
  added_.add({segment, segment + 1});
  valued_.add({segment, segment + 1});
  leave();
}

void PassCheckpoint::save() {
  if (checkpoint_ == nullptr) return;
  const std::lock_guard alone(one_save_);
  CheckpointWriter file(checkpoint_->file(parts_.name, attempt_, comm_.rank()));
  CheckpointHead head;
  head.run = checkpoint_->run();
  head.mine = plan_.mine;
  {
    std::unique_lock lock(mutex_);
    saving_ = true;
    changed_.wait(lock, [&] { return adding_ == 0; });
  }
  const auto go_on = [&] {
    const std::lock_guard lock(mutex_);
    saving_ = false;
    changed_.notify_all();
  };
  try {
    if (parts_.save) parts_.save(file);
    if (!parts_.written) {
      head.added = added_;
      head.valued = valued_;
    }
  } catch (...) {
    go_on();
    throw;
  }
  go_on();

  // What is written from here on does not change any more.
  if (parts_.segment_values != nullptr) {
    std::vector<std::int64_t> values;
    for (const Range& range : head.valued.ranges()) {
      const auto begin = parts_.segment_values->begin() - plan_.mine.begin;
      values.insert(values.end(), begin + range.begin, begin + range.end);
    }
    file.write<std::int64_t>(segment_values_block, values);
  }
  if (parts_.cell_values != nullptr) write_cells(head.valued);
  if (parts_.written) {
    head.rows = rows_kept_;
    for (const auto& [name, rows] : parts_.written()) head.rows[name].add(rows);
    sync_to_disk(parts_.output);
  }
  file.commit(head);
}

void PassCheckpoint::save_or_warn() {
  try {
    save();
  } catch (const std::exception& error) {
    if (!std::exchange(warned_, true)) {
      log_warning(fmt::format("no checkpoint could be written: {}", error.what()));
    }
  }
}

void PassCheckpoint::write_cells(const RangeSet& segments) {
  const fs::path path = cells_of_file(checkpoint_->file(parts_.name, attempt_, comm_.rank()));
  const CellsFile file(path, O_WRONLY | O_CREAT);
  for (const Range& range : segments.ranges()) {
    for (std::int64_t segment = range.begin; segment < range.end; ++segment) {
      if (cells_written_.contains(segment)) continue;
      const Range cells = cells_of(segment, plan_.mine);
      file.write(cells.begin, std::span(*parts_.cell_values)
                                  .subspan(static_cast<std::size_t>(cells.begin),
                                           static_cast<std::size_t>(cells.size())));
    }
  }
  file.sync();
  cells_written_ = segments;
}

PassCheckpoint::Saver::Saver(PassCheckpoint& pass) {
  if (pass.checkpoint_ == nullptr) return;
  thread_ = std::jthread([&pass](const std::stop_token& stop) {
    const std::chrono::duration<double> interval(pass.checkpoint_->seconds());
    std::mutex mutex;
    std::condition_variable_any sleep;
    std::unique_lock lock(mutex);
    while (!sleep.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); })) {
      pass.save_or_warn();
    }
  });
}

}  // namespace cellmill
