#include "cellmill/core/stop.hpp"

#include <unistd.h>

#include <atomic>
#include <csignal>

namespace cellmill {
namespace {

std::atomic<bool> asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler sets it");

void on_signal(int signal) {
  if (asked.exchange(true) && signal == SIGINT) _exit(130);
}

}  // namespace

void install_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGUSR1, &action, nullptr);
}

bool stop_requested() { return asked.load(std::memory_order_relaxed); }

void request_stop(bool on) { asked = on; }

}  // namespace cellmill
