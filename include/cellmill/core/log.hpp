#pragma once

#include <string>

namespace cellmill {

enum class LogLevel { debug, info, warning, error, off };

/// Messages go to standard error. Rank 0 speaks alone at `info`; the other ranks only log warnings
/// and errors, with their rank in front.
void configure_log(LogLevel level, int rank);

void log_debug(const std::string& message);
void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

/// \throws Error(usage) for an unknown name
[[nodiscard]] LogLevel parse_log_level(const std::string& name);

}  // namespace cellmill
