#pragma once

#include <hdf5.h>

#include <mutex>
#include <string>

#include "cellmill/core/error.hpp"

namespace cellmill::hdf5 {

/// Held around every call of libhdf5, which keeps global state and is not thread-safe in Debian's
/// build. Recursive, because handles close themselves wherever they die. Making the first one sets
/// the library up: no printing of errors, no clean-up at exit.
class Lock {
 public:
  Lock();

 private:
  std::unique_lock<std::recursive_mutex> held_;
};

/// What the library says about the call that failed last: its innermost message, and the system's
/// reason if there is one. Ask before any other call.
[[nodiscard]] std::string last_message();

/// \throws Error of this kind, `what: the library's message`, if a call returned a negative value
template <class Result>
Result check(Result result, Error::Kind kind, const std::string& what) {
  if (result < 0) throw Error(kind, what + ": " + last_message());
  return result;
}

/// An identifier of libhdf5, closed when it dies.
class Handle {
 public:
  using Close = herr_t (*)(hid_t);
  Handle() = default;
  Handle(hid_t id, Close close) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  ~Handle() { reset(); }
  [[nodiscard]] hid_t get() const { return id_; }
  [[nodiscard]] bool valid() const { return id_ >= 0; }
  void reset();

 private:
  hid_t id_ = -1;
  Close close_ = nullptr;
};

/// As Handle, but \throws Error of this kind if the identifier is none
[[nodiscard]] Handle checked(hid_t id, Handle::Close close, Error::Kind kind,
                             const std::string& what);

}  // namespace cellmill::hdf5
