#include "cellmill/core/log.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>

#include "cellmill/core/error.hpp"
#include "core/log_line.hpp"

namespace cellmill {
namespace {

std::shared_ptr<spdlog::logger> make_logger() {
  auto logger = std::make_shared<spdlog::logger>(
      "cellmill", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("cellmill: %v");
  return logger;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = make_logger();
  return *instance;
}

std::atomic<LogStyle> style{LogStyle::text};
std::atomic<int> own_rank{0};

std::string utc_now() {
  using std::chrono::milliseconds;
  const auto now = std::chrono::floor<milliseconds>(std::chrono::system_clock::now());
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(second)),
                     (now - second).count());
}

/// By one call, so that lines of several ranks and threads don't mix.
void write_json(const std::string& level, const std::string& message,
                const nlohmann::ordered_json& more) {
  nlohmann::ordered_json line = {
      {"time", utc_now()}, {"level", level}, {"rank", own_rank.load()}, {"message", message}};
  line.update(more);
  const auto replace = nlohmann::json::error_handler_t::replace;  // names come out of files
  std::fputs((line.dump(-1, ' ', false, replace) + "\n").c_str(), stderr);
  std::fflush(stderr);
}

void write(spdlog::level::level_enum level, const char* prefix, const std::string& message) {
  if (style == LogStyle::text) return logger().log(level, prefix + message);
  if (!logger().should_log(level)) return;
  const auto name = spdlog::level::to_string_view(level);
  write_json({name.data(), name.size()}, message, nlohmann::ordered_json::object());
}

}  // namespace

void set_log_style(LogStyle chosen) { style = chosen; }

void configure_log(LogLevel level, int rank) {
  own_rank = rank;
  switch (level) {
    case LogLevel::debug:
      logger().set_level(spdlog::level::debug);
      break;
    case LogLevel::info:
      logger().set_level(rank == 0 ? spdlog::level::info : spdlog::level::warn);
      break;
    case LogLevel::warning:
      logger().set_level(spdlog::level::warn);
      break;
    case LogLevel::error:
      logger().set_level(spdlog::level::err);
      break;
    case LogLevel::off:
      logger().set_level(spdlog::level::off);
      break;
  }
  logger().set_pattern(rank == 0 ? "cellmill: %^%v%$"
                                 : "cellmill: [rank " + std::to_string(rank) + "] %^%v%$");
}

void log_debug(const std::string& message) { write(spdlog::level::debug, "", message); }
void log_info(const std::string& message) { write(spdlog::level::info, "", message); }
void log_warning(const std::string& message) { write(spdlog::level::warn, "warning: ", message); }
void log_error(const std::string& message) { write(spdlog::level::err, "error: ", message); }

void log_failure(const std::string& message, int status, const std::string& kind) {
  if (style == LogStyle::json) {
    nlohmann::ordered_json more = {{"status", status}};
    if (!kind.empty()) more["kind"] = kind;
    return write_json("error", message, more);
  }
  std::fputs(fmt::format("cellmill: error: {}\n", message).c_str(), stderr);
  std::fflush(stderr);
}

void log_record(const std::string& message, const nlohmann::ordered_json& more) {
  if (logger().should_log(spdlog::level::info)) write_json("info", message, more);
}

LogLevel parse_log_level(const std::string& name) {
  if (name == "debug") return LogLevel::debug;
  if (name == "info") return LogLevel::info;
  if (name == "warning") return LogLevel::warning;
  if (name == "error") return LogLevel::error;
  if (name == "off") return LogLevel::off;
  throw usage_error("'" + name +
                    "' is not a log level; expected debug, info, warning, error or off");
}

}  // namespace cellmill
