#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cellmill/comm/launch.hpp"
#include "cellmill/comm/mpi.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/core/version.hpp"
#include "cellmill/storage/claims.hpp"
#include "command.hpp"
#include "config_file.hpp"

namespace cellmill {
namespace {

constexpr int usage_status = 2;

struct Failure {
  std::string message;
  int status = 1;
  const char* kind = "other";  ///< for `--json`: what programs that run this one tell apart
};

const char* kind_name(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::input:
      return "input";
    case Error::Kind::not_found:
      return "not_found";
    case Error::Kind::missing:
      return "missing";
    case Error::Kind::io:
      return "io";
    case Error::Kind::usage:
      return "usage";
    case Error::Kind::comm:
      return "comm";
    case Error::Kind::stopped:
    case Error::Kind::resumable:
      return "stopped";
  }
  return "other";
}

std::string program_help(const std::vector<std::unique_ptr<Command>>& commands) {
  std::string text =
      "cellmill: single-cell data on any number of cores, larger than memory\n"
      "Usage: cellmill COMMAND [OPTIONS] …\n\nCommands:\n";
  for (const auto& command : commands) {
    text += fmt::format("  {:<12} {}\n", command->name(), command->summary());
  }
  return text +
         "\n  cellmill COMMAND --help   options and examples\n"
         "  cellmill --version\n\n"
         "Examples:\n"
         "  cellmill simulate plates\n"
         "  cellmill info plates/plate1.h5ad\n"
         "  mpirun -n 2 --bind-to none cellmill run plates -o pca.zarr\n\n"
         "Exit status: 0 done, 1 failed or stopped, 2 wrong usage or launch, 75 stopped with "
         "something "
         "to resume from\n";
}

/// This process's number among the launcher's tasks: known before, and without, MPI.
int launched_rank() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"}) {
    if (const char* rank = std::getenv(name)) return std::atoi(rank);
  }
  return 0;
}

/// Says what went wrong once, however many ranks failed alike; with --json on standard output too.
int report(const Failure& failure, const Communicator* comm, Output output) {
  const bool joined = comm != nullptr && comm->size() > 1;
  if ((joined ? comm->rank() : launched_rank()) == 0) {
    log_failure(failure.message, failure.status, failure.kind);
    if (output == Output::json) {
      const nlohmann::json error = {{"kind", failure.kind}, {"message", failure.message}};
      const auto replace = nlohmann::json::error_handler_t::replace;
      std::cout << nlohmann::json{{"error", error}}.dump(-1, ' ', false, replace) << std::endl;
    }
  } else if (!joined && launched_tasks().value_or(1) > 1) {
    // The launcher ends all tasks when one of them failed: leave the first the time to say why.
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  return failure.status;
}

/// A mistyped option is told its nearest neighbours.
Failure usage_failure(const CLI::ParseError& error, const CLI::App& app) {
  std::string message = error.what();
  const std::vector<std::string> unexpected = app.remaining();
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError) &&
      !unexpected.empty()) {
    message = fmt::format("unexpected argument {}", unexpected.front());
    std::vector<std::string> names;
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    const std::string typed = unexpected.front().substr(0, unexpected.front().find('='));
    const std::vector<std::string> nearest = nearest_names(typed, names, 1);
    if (typed.starts_with("--") && !nearest.empty()) {
      message += fmt::format("; did you mean {}?", nearest.front());
    }
  }
  return {fmt::format("{} (see {} --help)", message, app.get_name()), usage_status, "usage"};
}

/// Parses the command's arguments. \returns whether there is something to run: --help has been
/// answered
bool parse(CLI::App& app, int argc, const char* const* argv) {
  try {
    app.parse(argc - 1, argv + 1);  // the command's name stands where CLI11 expects the program's
    return true;
  } catch (const CLI::Success& success) {
    if (launched_rank() == 0) app.exit(success);
    return false;
  }
}

/// The ranks that a command runs on, and how long joining them took.
struct World {
  std::unique_ptr<Communicator> comm;
  double mpi_start_seconds = 0;

  void join() {
    const auto start = std::chrono::steady_clock::now();
    comm = make_mpi_communicator();
    mpi_start_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

void run_command(Command& command, const CommonOptions& options, const World& world) {
  Communicator& comm = *world.comm;
  if (command.launch() != Command::Launch::anyhow) require_one_world(comm.size());
  configure_log(options.log_level, comm.rank());
  if (options.memory > 0) limit_claims(options.memory);
  set_log_style(options.log_style);
  const bool in_log =
      options.log_style == LogStyle::json && options.progress == ProgressStyle::text;
  const ProgressStyle progress = in_log ? ProgressStyle::log : options.progress;
  set_progress_style(options.log_level <= LogLevel::info ? progress : ProgressStyle::none);
  install_stop_signals();
  Arena arena(options.threads > 0 ? options.threads : default_threads(comm.local_size()));
  command.run({options, comm, arena, world.mpi_start_seconds});
}

/// The program's call.
struct Call {
  CLI::App& app;
  int argc;
  const char* const* argv;

  /// Whether a flag is among the arguments or, once that is read, in the configuration file: errors
  /// come before the options are parsed, too.
  [[nodiscard]] bool has(const std::string& flag) const {
    const CLI::Option* option = app.get_option_no_throw(flag);
    return (option != nullptr && option->count() > 0) ||
           std::any_of(argv, argv + argc,
                       [&](const char* argument) { return std::string_view(argument) == flag; });
  }
};

/// `body`'s status, or the report of what it threw.
template <class Body>
int reported(const Call& call, const World& world, Body&& body) {
  const auto failed = [&](const Failure& failure) {
    if (call.has("--log-json")) set_log_style(LogStyle::json);
    return report(failure, world.comm.get(), call.has("--json") ? Output::json : Output::text);
  };
  try {
    body();
    return EXIT_SUCCESS;
  } catch (const CLI::ParseError& error) {
    return failed(usage_failure(error, call.app));
  } catch (const ReportedError& error) {
    return report({error.what(), exit_status(error.kind())}, world.comm.get(), Output::text);
  } catch (const Error& error) {
    return failed({error.what(), exit_status(error.kind()), kind_name(error.kind())});
  } catch (const std::bad_alloc&) {
    return failed({"out of memory; lower --memory or --threads", 1});
  } catch (const std::exception& error) {
    return failed({error.what(), 1});
  }
}

Command& find_command(const std::vector<std::unique_ptr<Command>>& commands,
                      const std::string& name) {
  std::vector<std::string> names(commands.size());
  std::transform(commands.begin(), commands.end(), names.begin(),
                 [](const auto& command) { return command->name(); });
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return *commands[static_cast<std::size_t>(found - names.begin())];
  const std::vector<std::string> nearest = nearest_names(name, names, 1);
  throw usage_error(fmt::format("there is no command '{}'{} (see cellmill --help)", name,
                                nearest.empty() ? "" : "; did you mean " + nearest.front() + "?"));
}

int run_program(int argc, const char* const* argv) {
  const std::vector<std::unique_ptr<Command>> commands = make_commands();
  const std::string name = argc > 1 ? argv[1] : "--help";
  if (name == "--help" || name == "-h" || name == "help") {
    std::cout << program_help(commands);
    return argc > 1 ? EXIT_SUCCESS : usage_status;
  }
  if (name == "--version") {
    std::cout << "cellmill " << version() << (have_mpi() ? "" : " (without MPI)") << '\n';
    return EXIT_SUCCESS;
  }
  CLI::App app("", "cellmill " + name);
  World world;
  const Call call{app, argc, argv};
  configure_log(LogLevel::info, launched_rank());
  if (call.has("--log-json")) set_log_style(LogStyle::json);
  return reported(call, world, [&] {
    Command& command = find_command(commands, name);
    CommonOptions options;
    app.get_formatter()->column_width(34);
    command.add_options(app);
    add_common_options(app, options);
    add_config_option(app);
    // Several tasks first join, so that a mistyped option is reported once, too.
    const bool ranks = command.launch() == Command::Launch::ranks;
    if (ranks && launched_tasks().value_or(1) > 1) {
      require_a_way_to_join();
      world.join();
    }
    if (!parse(app, argc, argv)) return;
    if (!ranks) world.comm = make_self_communicator();
    if (world.comm == nullptr) world.join();
    run_command(command, options, world);
  });
}

}  // namespace
}  // namespace cellmill

int main(int argc, char** argv) {
  try {
    cellmill::keep_small_buffers();
    return cellmill::run_program(argc, argv);
  } catch (...) {  // before there was anything to report with
    return EXIT_FAILURE;
  }
}
