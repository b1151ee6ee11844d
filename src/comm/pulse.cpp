#include "cellmill/comm/pulse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <optional>
#include <utility>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "comm/backoff.hpp"
#include "comm/local_work.hpp"
#include "comm/pulse_messages.hpp"

namespace cellmill {
namespace {

using Clock = std::chrono::steady_clock;

Error as_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return comm_error("out of memory");
  } catch (const std::exception& error) {
    return comm_error(fmt::format("unexpected error: {}", error.what()));
  } catch (...) {
    return comm_error("unexpected error");
  }
}

/// Time in which this thread could have heard others. It stands still while the process is
/// suspended, or away in a long on_main call: after that nobody looks dead who isn't.
class ListeningClock {
 public:
  explicit ListeningClock(Clock::duration most_a_turn) : most_a_turn_(most_a_turn) {}
  void turn() {
    const auto now = Clock::now();
    listened_ += std::min(now - last_, most_a_turn_);
    last_ = now;
  }
  [[nodiscard]] Clock::duration listened() const { return listened_; }

 private:
  Clock::duration most_a_turn_;
  Clock::duration listened_{0};
  Clock::time_point last_ = Clock::now();
};

/// A rank's side of the star: what rank 0 and the others have in common.
class Side {
 public:
  Side(Communicator& comm, const std::function<void(PulseControl&)>& work,
       const PulseOptions& options)
      : comm_(comm),
        options_(options),
        interval_(std::max(options.interval, std::chrono::milliseconds(1))),
        pulse_(comm.next_pulse()),
        clock_(interval_),
        work_(work) {
    own_.pulse = pulse_;
    own_.share = options.share;
  }
  Side(const Side&) = delete;
  Side& operator=(const Side&) = delete;
  virtual ~Side() = default;

  /// How long this rank, done, waited for the others.
  [[nodiscard]] double waited() const {
    return since_end_ ? std::chrono::duration<double>(since_end_->waited()).count() : 0;
  }

 protected:
  /// Tells the other side how things stand.
  virtual void speak(InCall in_call) = 0;

  /// One turn for the work of this rank. Returns whether something happened that can't wait for the
  /// next interval.
  [[nodiscard]] bool attend() {
    bool urgent = false;
    if (own_.state != WorkState::running) {
      since_end_->pause();
    } else {
      const LocalWork::Event event = work_.wait(interval_ / 4);
      if (event == LocalWork::Event::call) run_calls();
      if (event == LocalWork::Event::ended) {
        note_end();
        urgent = true;
      }
    }
    if (options_.stop_requests == StopRequests::end_it && own_.stop_asked == 0 &&
        stop_requested()) {
      own_.stop_asked = 1;
      work_.stop();
      urgent = true;
    }
    own_.cells = work_.cells();
    own_.bytes = work_.bytes();
    clock_.turn();
    return urgent;
  }

  [[nodiscard]] bool interval_over() {
    const auto now = Clock::now();
    if (now < next_) return false;
    next_ = now + interval_;
    told_in_call_ = false;
    return true;
  }

  /// Whether a message belongs to this pulse; an earlier one's is dropped.
  [[nodiscard]] bool is_current(std::int64_t pulse) const {
    if (pulse > pulse_) {
      throw comm_error(fmt::format("ranks out of step: rank {} is in step {}, another in step {}",
                                   comm_.rank(), pulse_, pulse));
    }
    return pulse == pulse_;
  }

  void abort_over(int rank, Clock::duration quiet) {
    const double seconds = std::chrono::duration<double>(quiet).count();
    comm_.abort(fmt::format("rank {} has said nothing for {}: it died or hangs, so the job ends",
                            rank, human_seconds(seconds)),
                exit_status(Error::Kind::comm));
  }

  [[nodiscard]] Clock::duration patience(InCall in_call) const {
    return in_call == InCall::yes ? options_.call_silence : options_.silence;
  }

  Communicator& comm_;
  const PulseOptions& options_;
  const Clock::duration interval_;
  const std::int64_t pulse_;
  Report own_;
  ListeningClock clock_;
  LocalWork work_;

 private:
  void run_calls() {
    if (!told_in_call_) {  // once an interval: calls may come thick and fast
      told_in_call_ = true;
      speak(InCall::yes);
    }
    work_.run_calls();
  }

  void note_end() {
    since_end_.emplace();
    own_.state = WorkState::done;
    if (const auto failure = work_.failure()) {
      const Error error = as_error(failure);
      own_.kind = error.kind();
      own_.text = error.what();
      own_.state = error.kind() == Error::Kind::stopped ? WorkState::stopped : WorkState::failed;
    }
  }

  std::optional<Backoff> since_end_;
  Clock::time_point next_ = Clock::now() + interval_;
  bool told_in_call_ = false;
};

/// Rank 0: hears all, decides, tells all. With one rank it has nobody to talk to.
class Centre final : public Side {
 public:
  Centre(Communicator& comm, const std::function<void(PulseControl&)>& work,
         const PulseOptions& options)
      : Side(comm, work, options),
        reports_(static_cast<std::size_t>(comm.size())),
        heard_(static_cast<std::size_t>(comm.size())) {}

  void run() {
    for (;;) {
      (void)attend();  // what is urgent here is seen below
      listen();
      if (word_ == Word::go_on && std::any_of(reports_.begin(), reports_.end(), wants_stop)) {
        word_ = Word::stop;
        work_.stop();
        speak(InCall::no);
      }
      if (std::all_of(reports_.begin(), reports_.end(), has_ended)) break;
      if (interval_over()) {
        speak(InCall::no);
        show_progress();
        watch();
      }
    }
    conclude();
  }

 protected:
  void speak(InCall in_call) override {
    Beat beat;
    beat.pulse = pulse_;
    beat.word = word_;
    beat.in_call = in_call;
    tell_all(beat);
  }

 private:
  static bool has_ended(const Report& report) { return report.state != WorkState::running; }
  static bool wants_stop(const Report& report) {
    return report.state == WorkState::failed || report.state == WorkState::stopped ||
           report.stop_asked != 0;
  }

  void tell_all(const Beat& beat) {
    const auto bytes = encode(beat);
    for (int rank = 1; rank < comm_.size(); ++rank) {
      if (!comm_.has_left(rank)) comm_.post(bytes, rank);
    }
  }

  void listen() {
    reports_[0] = own_;
    while (auto posted = comm_.poll()) {
      Report report = decode<ReportHead>(posted->bytes);
      if (!is_current(report.pulse)) continue;
      const auto from = static_cast<std::size_t>(posted->from);
      heard_[from] = clock_.listened();
      reports_[from] = std::move(report);
    }
    for (int rank = 1; rank < comm_.size(); ++rank) {
      Report& report = reports_[static_cast<std::size_t>(rank)];
      if (has_ended(report) || !comm_.has_left(rank)) continue;
      report.state = WorkState::failed;
      report.kind = Error::Kind::comm;
      report.text = "ended before the step was done";
    }
  }

  void watch() {
    for (int rank = 1; rank < comm_.size(); ++rank) {
      const auto quiet = clock_.listened() - heard_[static_cast<std::size_t>(rank)];
      if (quiet > patience(reports_[static_cast<std::size_t>(rank)].in_call) &&
          !comm_.has_left(rank)) {
        abort_over(rank, quiet);
      }
    }
  }

  void show_progress() const {
    if (!options_.on_progress) return;
    PulseProgress progress;
    double least = 1.0;
    for (std::size_t rank = 0; rank < reports_.size(); ++rank) {
      const Report& report = reports_[rank];
      progress.cells += report.cells;
      progress.bytes += report.bytes;
      if (report.share <= 0) continue;
      const double done = static_cast<double>(report.cells) / static_cast<double>(report.share);
      if (done < least) {
        least = done;
        progress.slowest_rank = static_cast<int>(rank);
      }
    }
    options_.on_progress(progress);
  }

  void conclude() {
    const std::optional<Error> error = choose_error();
    Beat beat;
    beat.pulse = pulse_;
    beat.word = Word::over;
    if (error) {
      beat.word = Word::over_with_error;
      beat.kind = error->kind();
      beat.text = error->what();
    }
    tell_all(beat);
    if (!error) return show_progress();
    // Alone, the work's own exception goes on as it is, whatever its type.
    if (comm_.size() == 1 && own_.state == WorkState::failed) {
      std::rethrow_exception(work_.failure());
    }
    throw *error;
  }

  /// The lowest failing rank's; else a stop that was asked for; else one that the work itself made.
  [[nodiscard]] std::optional<Error> choose_error() const {
    if (auto error = lowest(WorkState::failed)) return error;
    if (std::any_of(reports_.begin(), reports_.end(),
                    [](const Report& report) { return report.stop_asked != 0; })) {
      return stopped_error("stopped on request");
    }
    return lowest(WorkState::stopped);
  }
  [[nodiscard]] std::optional<Error> lowest(WorkState state) const {
    for (std::size_t rank = 0; rank < reports_.size(); ++rank) {
      const Report& report = reports_[rank];
      if (report.state != state) continue;
      if (comm_.size() == 1) return Error(report.kind, report.text);
      return Error(report.kind, fmt::format("rank {}: {}", rank, report.text));
    }
    return std::nullopt;
  }

  Word word_ = Word::go_on;
  std::vector<Report> reports_;         ///< the last of each rank
  std::vector<Clock::duration> heard_;  ///< when, on the listening clock
};

/// Every other rank: reports to rank 0 and does what it says.
class Point final : public Side {
 public:
  using Side::Side;

  void run() {
    // Later for higher ranks, so that one of them speaks for all when rank 0 is dead.
    const auto grace = options_.silence / 16 * std::min(comm_.rank(), 8);
    for (;;) {
      const bool urgent = attend();
      if (interval_over() || urgent) speak(InCall::no);
      listen();
      if (last_.word == Word::over) return;
      if (last_.word == Word::over_with_error) throw Error(last_.kind, last_.text);
      if (comm_.has_left(0)) throw comm_error("rank 0: ended before the step was done");
      const auto quiet = clock_.listened() - heard_;
      if (quiet > patience(last_.in_call) + grace) abort_over(0, quiet);
    }
  }

 protected:
  void speak(InCall in_call) override {
    own_.in_call = in_call;
    comm_.post(encode(own_), 0);
  }

 private:
  void listen() {
    while (auto posted = comm_.poll()) {
      Beat beat = decode<BeatHead>(posted->bytes);
      if (!is_current(beat.pulse)) continue;
      heard_ = clock_.listened();
      last_ = std::move(beat);
      if (last_.word == Word::stop) work_.stop();
      if (last_.word >= Word::over) return;  // what follows is the next pulse's
    }
  }

  Beat last_;
  Clock::duration heard_{0};
};

}  // namespace

void with_pulse(Communicator& comm, const std::function<void(PulseControl&)>& work,
                const PulseOptions& options) {
  const auto run = [&](auto&& side) {
    side.run();
    if (comm.size() > 1) comm.add_waiting(side.waited());
  };
  if (comm.rank() == 0) {
    run(Centre(comm, work, options));
  } else {
    run(Point(comm, work, options));
  }
}

}  // namespace cellmill
