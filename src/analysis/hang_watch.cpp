#include "analysis/hang_watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Ends all ranks, by the main thread if it can still be reached.
[[noreturn]] void end_job(const std::string& message, Communicator& comm, PulseControl& control) {
  const int status = exit_status(Error::Kind::io);
  const std::jthread caller([&] {
    try {
      control.on_main([&] { comm.abort(message, status); });
    } catch (const Error&) {
      // the step is stopping, but the call that hangs would keep it from it for ever
    }
  });
  std::this_thread::sleep_for(std::chrono::seconds(5));
  log_failure(message, status);
  std::fflush(nullptr);
  std::_Exit(status);  // the main thread hangs, too: the other ranks will miss this one
}

}  // namespace

HangWatch::UnderWay::UnderWay(HangWatch& watch, std::string what) : watch_(watch) {
  const std::lock_guard lock(watch_.mutex_);
  call_ = watch_.calls_.insert(watch_.calls_.end(), {std::move(what), Clock::now()});
}

HangWatch::UnderWay::~UnderWay() {
  const std::lock_guard lock(watch_.mutex_);
  watch_.calls_.erase(call_);
}

std::optional<HangWatch::Call> HangWatch::older(Clock::time_point than) const {
  const std::lock_guard lock(mutex_);
  if (calls_.empty() || calls_.front().since >= than) return std::nullopt;
  return calls_.front();
}

HangGuard::HangGuard(const HangWatch& watch, HangWatch::Clock::duration patience,
                     Communicator& comm, PulseControl& control)
    : thread_([&watch, patience, &comm, &control](const std::stop_token& stop) {
        const auto look_every = std::clamp<HangWatch::Clock::duration>(
            patience / 10, std::chrono::milliseconds(10), std::chrono::seconds(5));
        std::mutex mutex;
        std::condition_variable_any sleep;
        std::unique_lock lock(mutex);
        auto last = HangWatch::Clock::now();
        auto awake_since = last;
        while (!sleep.wait_for(lock, stop, look_every, [&] { return stop.stop_requested(); })) {
          const auto now = HangWatch::Clock::now();
          // A process that was suspended takes no time.
          if (now - last > 4 * look_every + std::chrono::seconds(1)) awake_since = now;
          last = now;
          if (now - awake_since < patience) continue;
          const auto hung = watch.older(now - patience);
          if (!hung) continue;
          const std::chrono::duration<double> taken = now - hung->since;
          end_job(fmt::format("{}{} has taken {}: the file system hangs; "
                              "--io-timeout waits longer",
                              comm.size() > 1 ? fmt::format("rank {}: ", comm.rank()) : "",
                              hung->what, human_seconds(taken.count())),
                  comm, control);
        }
      }) {}

}  // namespace cellmill
