#include "command.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "cellmill/core/text.hpp"

namespace cellmill {

std::vector<std::unique_ptr<Command>> make_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_simulate_command());
  commands.push_back(make_info_command());
  commands.push_back(make_convert_command());
  commands.push_back(make_concat_command());
  commands.push_back(make_validate_command());
  commands.push_back(make_bench_command());
  commands.push_back(make_run_command());
  commands.push_back(make_shard_command());
  commands.push_back(make_vocab_command());
  commands.push_back(make_report_command());
  return commands;
}

void add_common_options(CLI::App& app, CommonOptions& options) {
  const std::string group = "Common options";
  const auto parse_threads = [](const std::string& text) {
    return static_cast<int>(parse_whole(text, 1, 4096));
  };
  add_parsed(app, "--threads", options.threads, parse_threads,
             "Threads that compute, a rank [the cores this rank was given]")
      ->type_name("N")
      ->group(group);
  add_parsed(app, "--memory", options.memory, parse_bytes,
             "Resident memory of a rank, e.g. 8G or 400M [70% of what the job or node gives, "
             "divided by the ranks on it]")
      ->type_name("SIZE")
      ->group(group);
  add_parsed(app, "--log-level", options.log_level, parse_log_level,
             "debug, info, warning, error or off [info]")
      ->type_name("LEVEL")
      ->group(group);
  app.add_flag_callback(
         "--log-json", [&options] { options.log_style = LogStyle::json; },
         "What goes to standard error, progress too, as one JSON object a line")
      ->group(group);
  app.add_flag_callback(
         "--json", [&options] { options.output = Output::json; },
         "The result as one JSON object on standard output; all else goes to standard error")
      ->group(group);
  app.add_flag_callback("--progress-json", [&options] { options.progress = ProgressStyle::json; })
      ->group("");  // how Python hears of it
}

std::int64_t parse_whole(const std::string& text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || value < least) {
    throw usage_error(
        fmt::format("'{}' is not possible; expected a whole number from {} on", text, least));
  }
  if (value > most) throw usage_error(fmt::format("'{}' is too large; at most {}", text, most));
  return value;
}

GeneJoin parse_join(const std::string& name) {
  if (name == "inner") return GeneJoin::inner;
  if (name == "outer") return GeneJoin::outer;
  throw usage_error(fmt::format("'{}' is no way to join; expected inner or outer", name));
}

std::string parse_matrix(const std::string& name) {
  if (name == "X") return name;
  if (name == "raw.X") return "raw/X";
  if (name.empty() || name.find('/') != std::string::npos) {
    throw usage_error(fmt::format("'{}' is no layer; expected its name, X or raw.X", name));
  }
  return "layers/" + name;
}

double parse_positive(const std::string& text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool number = status == std::errc() && end == text.data() + text.size();
  if (!number || !std::isfinite(value) || value <= 0) {
    throw usage_error(fmt::format("'{}' is not possible; expected a number above 0", text));
  }
  return value;
}

}  // namespace cellmill
