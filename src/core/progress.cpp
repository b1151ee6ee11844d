#include "cellmill/core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <utility>

#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

std::atomic<bool>& enabled() {
  static std::atomic<bool> on{true};
  return on;
}

}  // namespace

void enable_progress(bool on) { enabled() = on; }

ProgressLine::ProgressLine(std::string name, std::int64_t total)
    : name_(std::move(name)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void ProgressLine::show(std::int64_t done, std::int64_t bytes) {
  if (!enabled()) return;
  const auto now = std::chrono::steady_clock::now();
  const auto pause = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (now - last_ < pause) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done) / seconds;
  std::string line = fmt::format("{}: {}", name_, grouped(done));
  if (total_ > 0) {
    line += fmt::format(" of {} cells ({:.0f}%)", grouped(total_),
                        100.0 * static_cast<double>(done) / static_cast<double>(total_));
  } else {
    line += " cells";
  }
  line += fmt::format(", {} cells/s", grouped(static_cast<std::int64_t>(rate)));
  if (bytes > 0)
    line += fmt::format(
        ", {}/s", human_bytes(static_cast<std::int64_t>(static_cast<double>(bytes) / seconds)));
  if (total_ > done && rate > 0) {
    line += fmt::format(", {} left", human_seconds(static_cast<double>(total_ - done) / rate));
  }
  std::fputs((terminal_ ? "\r\033[K" + line : "cellmill: " + line + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::finish() {
  if (shown_ && terminal_) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
  shown_ = false;
}

}  // namespace cellmill
