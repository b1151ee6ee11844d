#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace cellmill {

/// Leaves new elements of trivial types as they are, so that `resize` before a decode writes
/// nothing.
template <class T>
class UninitialisedAllocator : public std::allocator<T> {
 public:
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the standard's name
    using other = UninitialisedAllocator<U>;
  };
  template <class U>
  void construct(U* at) noexcept {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Args>
  void construct(U* at, Args&&... args) {
    ::new (static_cast<void*>(at)) U(std::forward<Args>(args)...);
  }
};

/// A vector whose `resize` does not fill.
template <class T>
using RawVector = std::vector<T, UninitialisedAllocator<T>>;

}  // namespace cellmill
