#include "storage/hdf5_library.hpp"

#include <string_view>
#include <utility>

namespace cellmill::hdf5 {

namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

/// The text between `begin` and the next `end`, or nothing.
std::string_view between(std::string_view text, std::string_view begin, std::string_view end) {
  const std::size_t at = text.find(begin);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + begin.size());
  return text.substr(0, text.find(end));
}

herr_t keep_first(unsigned depth, const H5E_error2_t* error, void* to) {
  if (depth == 0 && error->desc != nullptr) *static_cast<std::string*>(to) = error->desc;
  return 0;
}

}  // namespace

Lock::Lock() : held_(library_mutex()) {
  static const bool ready = [] {
    // Files close themselves. The library's own clean-up at exit would retry what already failed.
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
  (void)ready;
}

std::string last_message() {
  std::string message;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &message);
  // File drivers pack the system's reason between the arguments of the call.
  if (const std::string_view reason = between(message, "error message = '", "'"); !reason.empty()) {
    return std::string(reason);
  }
  return message.empty() ? "HDF5 gives no reason" : message;
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), close_(std::exchange(other.close_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    reset();
    id_ = std::exchange(other.id_, -1);
    close_ = std::exchange(other.close_, nullptr);
  }
  return *this;
}

void Handle::reset() {
  if (id_ < 0) return;
  const Lock lock;
  close_(id_);
  id_ = -1;
}

Handle checked(hid_t id, Handle::Close close, Error::Kind kind, const std::string& what) {
  return {check(id, kind, what), close};
}

}  // namespace cellmill::hdf5
