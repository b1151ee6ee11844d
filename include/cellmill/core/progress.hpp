#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace cellmill {

/// How progress is told: `text` is redrawn in place on a terminal and a plain line every ten
/// seconds otherwise; `json` is for a program that started this one: a line five times a second,
/// `{"progress":{"name":…,"total":…,"done":…,"bytes":…}}`, and a last one with `"finished":true`;
/// `log`: lines of the JSON log (core/log.hpp), every ten seconds and at the end, with the numbers.
enum class ProgressStyle { none, text, json, log };

/// From now on; `text` before.
void set_progress_style(ProgressStyle style);

/// One line on standard error about how far a pass is.
class ProgressLine {
 public:
  /// \param name what is being done, e.g. `pass 1/3 counts`; `total` cells, 0 if unknown
  ProgressLine(std::string name, std::int64_t total);

  /// Cells done so far and bytes read, over all ranks, and the rank with the most left to do.
  void show(std::int64_t done, std::int64_t bytes, std::optional<int> slowest_rank = std::nullopt);
  /// Ends the line.
  void finish();

 private:
  [[nodiscard]] std::string text(double seconds) const;
  void tell(bool finished) const;
  void log(double seconds, bool finished) const;

  std::string name_;
  std::int64_t total_;
  bool terminal_;
  bool shown_ = false;
  std::int64_t done_ = 0;
  std::int64_t bytes_ = 0;
  std::optional<int> slowest_rank_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace cellmill
