#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cellmill {

/// How progress is told: `text` is redrawn in place on a terminal and a plain line every ten
/// seconds otherwise; `json` is for a program that started this one: a line five times a second,
/// `{"progress":{"name":…,"total":…,"done":…,"bytes":…}}`, and a last one with `"finished":true`.
enum class ProgressStyle { none, text, json };

/// From now on; `text` before.
void set_progress_style(ProgressStyle style);

/// One line on standard error about how far a pass is.
class ProgressLine {
 public:
  /// \param name what is being done, e.g. `pass 1/3 counts`; `total` cells, 0 if unknown
  ProgressLine(std::string name, std::int64_t total);

  /// Cells done so far and bytes read, over all ranks.
  void show(std::int64_t done, std::int64_t bytes);
  /// Ends the line.
  void finish();

 private:
  [[nodiscard]] std::string text(std::int64_t done, std::int64_t bytes, double seconds) const;
  void tell(std::int64_t done, std::int64_t bytes, bool finished) const;

  std::string name_;
  std::int64_t total_;
  bool terminal_;
  bool shown_ = false;
  std::int64_t done_ = 0;
  std::int64_t bytes_ = 0;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

}  // namespace cellmill
