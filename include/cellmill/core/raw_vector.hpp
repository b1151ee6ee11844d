#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace cellmill {

/// Asks the system for 2 MB pages in fresh memory, wherever a whole one lies in it: touching such a
/// page for the first time costs a tenth of touching its 512 small ones. No more memory is used,
/// and nothing happens where the system has no such pages.
void prefer_large_pages(void* memory, std::size_t bytes);

/// Leaves new elements of trivial types as they are, so that `resize` before a decode writes
/// nothing; large buffers have large pages.
template <class T>
class UninitialisedAllocator : public std::allocator<T> {
 public:
  template <class U>
  struct rebind {  // NOLINT(readability-identifier-naming): the standard's name
    using other = UninitialisedAllocator<U>;
  };
  T* allocate(std::size_t count) {
    T* const memory = std::allocator<T>::allocate(count);
    prefer_large_pages(memory, count * sizeof(T));
    return memory;
  }
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

/// Resizes a buffer that is used again and again; what it held is lost. In contrast to `resize`
/// alone nothing is copied, and it has little more room than asked for, not twice as much.
template <class T>
void resize_for_reuse(RawVector<T>& buffer, std::size_t size) {
  if (buffer.capacity() < size) {
    buffer = RawVector<T>();
    buffer.reserve(size + size / 32);
  }
  buffer.resize(size);
}

}  // namespace cellmill
