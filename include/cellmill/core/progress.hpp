#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace cellmill {

/// One line about how far a pass is: redrawn in place on a terminal, a plain line every ten seconds
/// otherwise.
class ProgressLine {
 public:
  /// \param name what is being done, e.g. `pass 1/3 counts`; `total` cells, 0 if unknown
  ProgressLine(std::string name, std::int64_t total);

  /// Cells done so far and bytes read, over all ranks.
  void show(std::int64_t done, std::int64_t bytes);
  /// Ends the line.
  void finish();

 private:
  std::string name_;
  std::int64_t total_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_;
};

/// Progress lines may be switched off (--log-level above info).
void enable_progress(bool on);

}  // namespace cellmill
