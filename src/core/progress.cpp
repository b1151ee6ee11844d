#include "cellmill/core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cellmill/core/text.hpp"
#include "core/log_line.hpp"

namespace cellmill {
namespace {

std::atomic<ProgressStyle> style{ProgressStyle::text};

}  // namespace

void set_progress_style(ProgressStyle chosen) { style = chosen; }

ProgressLine::ProgressLine(std::string name, std::int64_t total)
    : name_(std::move(name)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

void ProgressLine::show(std::int64_t done, std::int64_t bytes, std::optional<int> slowest_rank) {
  const ProgressStyle now_style = style;
  if (now_style == ProgressStyle::none) return;
  done_ = done;
  bytes_ = bytes;
  slowest_rank_ = slowest_rank;
  const auto now = std::chrono::steady_clock::now();
  const bool often =
      now_style == ProgressStyle::json || (now_style == ProgressStyle::text && terminal_);
  const auto pause = often ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (now - last_ < pause) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  if (now_style == ProgressStyle::json) return tell(false);
  if (now_style == ProgressStyle::log) return log(seconds, false);
  const std::string line = text(seconds);
  std::fputs((terminal_ ? "\r\033[K" + line : "cellmill: " + line + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

std::string ProgressLine::text(double seconds) const {
  const double rate = static_cast<double>(done_) / seconds;
  std::string line = fmt::format("{}: {}", name_, grouped(done_));
  if (total_ > 0) {
    line += fmt::format(" of {} cells ({:.0f}%)", grouped(total_),
                        100.0 * static_cast<double>(done_) / static_cast<double>(total_));
  } else {
    line += " cells";
  }
  line += fmt::format(", {} cells/s", grouped(static_cast<std::int64_t>(rate)));
  if (bytes_ > 0)
    line += fmt::format(
        ", {}/s", human_bytes(static_cast<std::int64_t>(static_cast<double>(bytes_) / seconds)));
  if (total_ > done_ && rate > 0) {
    line += fmt::format(", {} left", human_seconds(static_cast<double>(total_ - done_) / rate));
  }
  return line;
}

void ProgressLine::tell(bool finished) const {
  nlohmann::json state = {{"name", name_}, {"total", total_}, {"done", done_}, {"bytes", bytes_}};
  if (finished) state["finished"] = true;
  std::fputs((nlohmann::json{{"progress", state}}.dump() + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void ProgressLine::log(double seconds, bool finished) const {
  nlohmann::ordered_json numbers = {{"what", name_}, {"done", done_}};
  const double rate = static_cast<double>(done_) / seconds;
  if (total_ > 0) numbers["total"] = total_;
  numbers["seconds"] = seconds;
  numbers["cells_per_second"] = rate;
  if (bytes_ > 0) numbers["gb_per_second"] = 1e-9 * static_cast<double>(bytes_) / seconds;
  if (total_ >= done_ && rate > 0) {
    numbers["seconds_left"] = static_cast<double>(total_ - done_) / rate;
  }
  if (slowest_rank_ && !finished) numbers["slowest_rank"] = *slowest_rank_;
  if (finished) numbers["finished"] = true;
  log_record(text(seconds), numbers);
}

void ProgressLine::finish() {
  if (style == ProgressStyle::json) tell(true);
  if (style == ProgressStyle::log) {
    const auto taken = std::chrono::steady_clock::now() - start_;
    log(std::max(std::chrono::duration<double>(taken).count(), 1e-9), true);
  }
  if (shown_ && terminal_ && style == ProgressStyle::text) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
  shown_ = false;
}

}  // namespace cellmill
