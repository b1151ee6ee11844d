#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// What a child may take before it is ended.
struct ChildLimits {
  std::int64_t memory = 0;    ///< bytes of address space beyond what the program maps; 0: any
  double silent_seconds = 0;  ///< without a line; 0: any
};

/// How a child ended.
struct ChildEnd {
  enum class How { exited, signalled, silent, not_started } how = How::exited;
  int code = 0;  ///< exit status, or signal
};

/// Runs a program and waits. Each line that it writes to its standard output goes to `on_line` as
/// it comes; what it writes to standard error is dropped. \throws Error(stopped), the child ended,
/// if a stop is asked for (core/stop.hpp)
ChildEnd run_child(const std::vector<std::string>& command, const ChildLimits& limits,
                   const std::function<void(std::string_view)>& on_line);

/// The path of this program, to run it again.
[[nodiscard]] std::string this_program();

}  // namespace cellmill
