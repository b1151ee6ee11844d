#include "cellmill/core/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>

#include "cellmill/core/text.hpp"

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

void ProgressLine::show(std::int64_t done, std::int64_t bytes) {
  const ProgressStyle now_style = style;
  if (now_style == ProgressStyle::none) return;
  done_ = done;
  bytes_ = bytes;
  const auto now = std::chrono::steady_clock::now();
  const bool often = terminal_ || now_style == ProgressStyle::json;
  const auto pause = often ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10000);
  if (now - last_ < pause) return;
  last_ = now;
  if (now_style == ProgressStyle::json) return tell(done, bytes, false);
  const std::string line = text(done, bytes, std::chrono::duration<double>(now - start_).count());
  std::fputs((terminal_ ? "\r\033[K" + line : "cellmill: " + line + "\n").c_str(), stderr);
  std::fflush(stderr);
  shown_ = true;
}

std::string ProgressLine::text(std::int64_t done, std::int64_t bytes, double seconds) const {
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
  return line;
}

void ProgressLine::tell(std::int64_t done, std::int64_t bytes, bool finished) const {
  nlohmann::json state = {{"name", name_}, {"total", total_}, {"done", done}, {"bytes", bytes}};
  if (finished) state["finished"] = true;
  std::fputs((nlohmann::json{{"progress", state}}.dump() + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void ProgressLine::finish() {
  if (style == ProgressStyle::json) tell(done_, bytes_, true);
  if (shown_ && terminal_ && style == ProgressStyle::text) {
    std::fputs("\r\033[K", stderr);
    std::fflush(stderr);
  }
  shown_ = false;
}

}  // namespace cellmill
