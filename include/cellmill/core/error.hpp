#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace cellmill {

/// What a user must be told. Messages read from the outside in: file, element, what was found, what
/// was expected, e.g. `plate7.h5ad: X/indices, chunk 1812: gzip stream ends early`. Layers add what
/// they know with `with_context`.
class Error : public std::runtime_error {
 public:
  /// Decides the exit status of the program and the exception type in Python.
  enum class Kind {
    input,      ///< The data or an option's value is wrong (exit 1; ValueError)
    not_found,  ///< A file is missing (exit 1; FileNotFoundError)
    missing,    ///< An element, column or gene is missing (exit 1; KeyError)
    io,         ///< Reading or writing failed (exit 1; OSError)
    usage,      ///< Wrong usage or launch (exit 2; ValueError)
    comm,       ///< Another rank failed or vanished (exit 1; RuntimeError)
    stopped,    ///< Stopped on request (exit 1; KeyboardInterrupt)
    resumable,  ///< The same, and what is done can be gone on with (exit 75; KeyboardInterrupt)
  };

  /// \param message what is not UTF-8 in it (a name out of a damaged file) is made so
  Error(Kind kind, const std::string& message);
  [[nodiscard]] Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

[[nodiscard]] inline Error input_error(const std::string& message) {
  return {Error::Kind::input, message};
}
[[nodiscard]] inline Error not_found_error(const std::string& message) {
  return {Error::Kind::not_found, message};
}
[[nodiscard]] inline Error missing_error(const std::string& message) {
  return {Error::Kind::missing, message};
}
[[nodiscard]] inline Error io_error(const std::string& message) {
  return {Error::Kind::io, message};
}
[[nodiscard]] inline Error usage_error(const std::string& message) {
  return {Error::Kind::usage, message};
}
[[nodiscard]] inline Error comm_error(const std::string& message) {
  return {Error::Kind::comm, message};
}
[[nodiscard]] inline Error stopped_error(const std::string& message) {
  return {Error::Kind::stopped, message};
}
[[nodiscard]] inline Error resumable_error(const std::string& message) {
  return {Error::Kind::resumable, message};
}

/// Runs `body`; an Error that leaves it gets `context: ` put in front of its message.
template <class Body>
decltype(auto) with_context(const std::string& context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.kind(), context + ": " + error.what());
  }
}

/// The process's exit status for an error of this kind.
[[nodiscard]] int exit_status(Error::Kind kind);

}  // namespace cellmill
