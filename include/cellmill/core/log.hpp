#pragma once

#include <string>

namespace cellmill {

enum class LogLevel { debug, info, warning, error, off };

/// `text`: `cellmill: …` for people. `json`: one object a line, with `time` (UTC, ISO 8601),
/// `level`, `rank`, `message`, and for some lines more.
enum class LogStyle { text, json };

/// Messages go to standard error. Rank 0 speaks alone at `info`; the other ranks only log warnings
/// and errors, with their rank in front.
void configure_log(LogLevel level, int rank);

/// From now on; `text` before.
void set_log_style(LogStyle style);

void log_debug(const std::string& message);
void log_info(const std::string& message);
void log_warning(const std::string& message);
void log_error(const std::string& message);

/// Why the program ends, whatever the level. `status` is what it exits with; `kind`, where known,
/// tells programs failures apart. In JSON both are fields.
void log_failure(const std::string& message, int status, const std::string& kind = "");

/// \throws Error(usage) for an unknown name
[[nodiscard]] LogLevel parse_log_level(const std::string& name);

}  // namespace cellmill
