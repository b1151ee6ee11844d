#include "cellmill/core/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "cellmill/core/error.hpp"

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

}  // namespace

void configure_log(LogLevel level, int rank) {
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

void log_debug(const std::string& message) { logger().debug(message); }
void log_info(const std::string& message) { logger().info(message); }
void log_warning(const std::string& message) { logger().warn("warning: " + message); }
void log_error(const std::string& message) { logger().error("error: " + message); }

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
