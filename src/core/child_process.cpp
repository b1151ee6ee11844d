#include "cellmill/core/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>

#include "cellmill/core/error.hpp"
#include "cellmill/core/stop.hpp"

namespace cellmill {

namespace {

/// Of the program and its libraries, before it does anything.
constexpr std::int64_t mapped_by_programs = std::int64_t{2} << 30;
constexpr int could_not_start = 127;
/// How long a stop request may go unnoticed.
constexpr std::chrono::milliseconds nap{200};

/// Ends in the other program, or with `could_not_start`. Between fork and exec only calls that are
/// safe there.
[[noreturn]] void become(std::vector<char*>& arguments, const std::array<int, 2>& pipe,
                         const ChildLimits& limits) {
  ::dup2(pipe[1], STDOUT_FILENO);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  if (nowhere >= 0) ::dup2(nowhere, STDERR_FILENO);
  if (limits.memory > 0) {
    const auto bytes = static_cast<rlim_t>(limits.memory + mapped_by_programs);
    const rlimit limit{bytes, bytes};
    ::setrlimit(RLIMIT_AS, &limit);
  }
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  ::execvp(arguments.front(), arguments.data());
  ::_exit(could_not_start);
}

}  // namespace

ChildEnd run_child(const std::vector<std::string>& command, const ChildLimits& limits,
                   const std::function<void(std::string_view)>& on_line) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execvp's signature
  }
  arguments.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {ChildEnd::How::not_started, errno};
  const pid_t child = ::fork();
  if (child == 0) become(arguments, pipe, limits);
  ::close(pipe[1]);
  if (child < 0) {
    ::close(pipe[0]);
    return {ChildEnd::How::not_started, errno};
  }

  using Clock = std::chrono::steady_clock;
  enum class Why { closed, silent, stopped } why = Why::closed;
  std::string text;
  std::array<char, 4096> buffer{};
  auto heard = Clock::now();
  while (true) {
    pollfd waiting{pipe[0], POLLIN, 0};
    const int ready = ::poll(&waiting, 1, static_cast<int>(nap.count()));
    if (stop_requested()) why = Why::stopped;
    const std::chrono::duration<double> quiet = Clock::now() - heard;
    if (ready == 0 && limits.silent_seconds > 0 && quiet.count() > limits.silent_seconds) {
      why = Why::silent;
    }
    if (why != Why::closed) {
      ::kill(child, SIGKILL);
      break;
    }
    if (ready <= 0) continue;
    heard = Clock::now();
    const ssize_t got = ::read(pipe[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t begin = 0;
    for (std::size_t end = text.find('\n'); end != std::string::npos;
         end = text.find('\n', begin)) {
      on_line(std::string_view(text).substr(begin, end - begin));
      begin = end + 1;
    }
    text.erase(0, begin);
  }
  ::close(pipe[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (why == Why::stopped) throw stopped_error("stopped on request");
  if (why == Why::silent) return {ChildEnd::How::silent, 0};
  if (WIFSIGNALED(status)) return {ChildEnd::How::signalled, WTERMSIG(status)};
  const int code = WEXITSTATUS(status);
  return {code == could_not_start ? ChildEnd::How::not_started : ChildEnd::How::exited, code};
}

std::string this_program() {
  std::error_code failed;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", failed);
  return failed ? std::string("cellmill") : path.string();
}

}  // namespace cellmill
