#pragma once

namespace cellmill {

/// From now on SIGINT, SIGTERM and SIGUSR1 (what batch systems can be told to send before a time
/// limit) ask for a clean stop; a second SIGINT ends the process at once.
void install_stop_signals();

/// Whether a stop was asked for.
[[nodiscard]] bool stop_requested();

/// For tests and for Python: asks, or withdraws the request.
void request_stop(bool on = true);

}  // namespace cellmill
