#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/progress.hpp"

namespace cellmill {

enum class Output { text, json };

/// A failure that the result on standard output already tells.
class ReportedError : public Error {
 public:
  using Error::Error;
};

/// Options that every command has.
struct CommonOptions {
  int threads = 0;          ///< 0: the cores this rank was given
  std::int64_t memory = 0;  ///< bytes of resident memory this rank may have; 0: 70% of its share
  LogLevel log_level = LogLevel::info;
  LogStyle log_style = LogStyle::text;
  Output output = Output::text;
  ProgressStyle progress = ProgressStyle::text;
};

/// What a command runs with.
struct Session {
  const CommonOptions& options;
  Communicator& comm;
  Arena& arena;
  double mpi_start_seconds;  ///< what starting MPI took; 0 for a command that never does
};

/// One command of the program: its options, and a call of the library.
class Command {
 public:
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;

  /// How it may be launched.
  enum class Launch {
    anyhow,  ///< writes nothing: however often it is started
    alone,   ///< one task only
    ranks,   ///< one task, or several that MPI joins
  };

  [[nodiscard]] virtual std::string name() const = 0;
  [[nodiscard]] virtual std::string summary() const = 0;  ///< one line, for `cellmill --help`
  [[nodiscard]] virtual Launch launch() const = 0;
  /// Adds options, description and, as the footer, examples.
  virtual void add_options(CLI::App& app) = 0;
  virtual void run(const Session& session) = 0;
};

[[nodiscard]] std::vector<std::unique_ptr<Command>> make_commands();

[[nodiscard]] std::unique_ptr<Command> make_bench_command();
[[nodiscard]] std::unique_ptr<Command> make_concat_command();
[[nodiscard]] std::unique_ptr<Command> make_convert_command();
[[nodiscard]] std::unique_ptr<Command> make_info_command();
[[nodiscard]] std::unique_ptr<Command> make_report_command();
[[nodiscard]] std::unique_ptr<Command> make_run_command();
[[nodiscard]] std::unique_ptr<Command> make_shard_command();
[[nodiscard]] std::unique_ptr<Command> make_simulate_command();
[[nodiscard]] std::unique_ptr<Command> make_validate_command();
[[nodiscard]] std::unique_ptr<Command> make_vocab_command();

void add_common_options(CLI::App& app, CommonOptions& options);

/// An option whose text `parse` turns into `value`; what `parse` throws gets the option's name in
/// front.
template <class T, class Parse>
CLI::Option* add_parsed(CLI::App& app, const std::string& names, T& value, Parse parse,
                        const std::string& description) {
  const std::string shown = names.substr(names.find("--"));
  return app.add_option_function<std::string>(
      names,
      [&value, parse, shown](const std::string& text) {
        with_context(shown, [&] { value = parse(text); });
      },
      description);
}

/// A whole number. \throws Error(usage) for anything else, and outside [least, most]
[[nodiscard]] std::int64_t parse_whole(const std::string& text, std::int64_t least,
                                       std::int64_t most);
/// inner or outer. \throws Error(usage) for anything else
[[nodiscard]] GeneJoin parse_join(const std::string& name);
/// Where counts are: `X`, `raw.X` or a layer's name, as the path of an element.
/// \throws Error(usage) for what can't be one
[[nodiscard]] std::string parse_matrix(const std::string& name);
/// A finite number above 0. \throws Error(usage) for anything else
[[nodiscard]] double parse_positive(const std::string& text);

/// `parse_whole` for numbers of type T.
template <class T>
[[nodiscard]] auto count_parser(std::int64_t least) {
  constexpr auto most = std::min<std::uint64_t>(std::numeric_limits<T>::max(),
                                                std::numeric_limits<std::int64_t>::max());
  return [least](const std::string& text) {
    return static_cast<T>(parse_whole(text, least, static_cast<std::int64_t>(most)));
  };
}

/// An option that counts something, of at least `least`. What `value` holds is shown as the
/// default.
template <class T>
CLI::Option* add_count(CLI::App& app, const std::string& names, T& value, std::int64_t least,
                       const std::string& description) {
  return add_parsed(app, names, value, count_parser<T>(least),
                    description + " [" + std::to_string(value) + "]")
      ->type_name("N");
}
template <class T>
CLI::Option* add_count(CLI::App& app, const std::string& names, std::optional<T>& value,
                       std::int64_t least, const std::string& description) {
  return add_parsed(app, names, value, count_parser<T>(least), description)->type_name("N");
}

}  // namespace cellmill
