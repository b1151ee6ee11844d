#pragma once

namespace cellmill {

/// From now on SIGINT and SIGTERM ask for a clean stop; a second SIGINT ends the process at once.
void install_stop_signals();

/// Whether a stop was asked for.
[[nodiscard]] bool stop_requested();

/// For tests and for Python: asks, or withdraws the request.
void request_stop(bool on = true);

}  // namespace cellmill
