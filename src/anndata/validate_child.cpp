#include <fmt/format.h>

#include <csignal>
#include <cstring>
#include <iostream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/store.hpp"
#include "cellmill/anndata/validate.hpp"
#include "cellmill/core/child_process.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

/// A child that crashes again and again is not asked for ever.
constexpr int most_children = 50;

/// One line a child.
void tell(const nlohmann::json& event) {
  std::cout << event.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
}

std::string how_it_ended(const ChildEnd& end, double silent_seconds) {
  switch (end.how) {
    case ChildEnd::How::signalled:
      return end.code == SIGKILL
                 ? "reading it was killed (out of memory?)"
                 : fmt::format("reading it crashed the process ({})", strsignal(end.code));
    case ChildEnd::How::silent:
      return fmt::format("reading it took more than {:.0f} s for one step", silent_seconds);
    case ChildEnd::How::not_started:
    case ChildEnd::How::exited:
      break;
  }
  return fmt::format("reading it ended the process with status {}", end.code);
}

}  // namespace

std::int64_t validate_in_child(const ChildValidation& validation, const ValidateEvents& events) {
  std::int64_t faults = 0;
  const auto fault = [&](const std::string& message) {
    ++faults;
    if (events.on_fault) events.on_fault(message);
  };
  std::string element;
  for (int child = 0; child < most_children; ++child) {
    std::vector<std::string> command = {this_program(),
                                        "validate",
                                        validation.path.string(),
                                        "--in-child",
                                        element,
                                        "--threads",
                                        std::to_string(validation.threads),
                                        "--memory",
                                        std::to_string(validation.memory)};
    bool done = false;
    std::string now = element;
    const ChildEnd end =
        run_child(command, {validation.memory, validation.silent_seconds}, [&](auto line) {
          const nlohmann::json event = nlohmann::json::parse(line, nullptr, false);
          if (!event.is_object()) return;
          if (event.contains("element")) {
            now = event["element"].template get<std::string>();
            if (events.on_element) events.on_element(now);
          }
          if (event.contains("bytes") && events.on_bytes) {
            events.on_bytes(event["bytes"].template get<std::int64_t>());
          }
          if (event.contains("fault")) fault(event["fault"].template get<std::string>());
          if (event.contains("done")) done = true;
        });
    if (end.how == ChildEnd::How::not_started) {
      throw io_error("the process that reads for validate could not be started: " +
                     std::string(std::strerror(end.code)));
    }
    if (done) return faults;
    fault(fmt::format("{}: {}: {}", validation.path.filename().string(),
                      now.empty() ? "the file" : now,
                      how_it_ended(end, validation.silent_seconds)));
    if (now == element) return faults;  // it can't even be opened, or no step further was made
    element = now;
  }
  return faults;
}

void validate_as_child(const std::filesystem::path& path, const ValidateOptions& options,
                       Arena& arena) {
  std::mutex telling;
  std::int64_t untold = 0;
  ValidateEvents events;
  events.on_element = [&](const std::string& name) {
    const std::lock_guard lock(telling);
    tell({{"element", name}});
  };
  events.on_fault = [&](const std::string& message) {
    const std::lock_guard lock(telling);
    tell({{"fault", message}});
  };
  events.on_bytes = [&](std::int64_t bytes) {
    constexpr std::int64_t told_at_once = std::int64_t{16} << 20;
    const std::lock_guard lock(telling);
    untold += bytes;
    if (untold < told_at_once) return;
    tell({{"bytes", untold}});
    untold = 0;
  };
  try {
    const auto root = open_anndata_store(path);
    validate_anndata(*root, options, arena, events);
  } catch (const Error& error) {
    events.on_fault(error.what());
  } catch (const std::bad_alloc&) {
    events.on_fault(path.filename().string() + ": takes more memory than validate may have");
  }
  tell({{"done", true}});
}

}  // namespace cellmill
