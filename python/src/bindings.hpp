#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <span>
#include <vector>

namespace cellmill::python {

namespace nb = nanobind;

/// A 1-D numpy array over memory that `owner` keeps alive.
template <class T>
auto array_over(const std::span<T> values, nb::handle owner) {
  using Value = std::remove_const_t<T>;
  const std::size_t size = values.size();
  // Writable, because torch warns of what isn't; batches belong to who took them.
  return nb::ndarray<nb::numpy, Value>(const_cast<Value*>(values.data()), {size}, owner);
}

/// A 1-D numpy array that owns its values.
template <class T>
auto array_of(std::vector<T> values) {
  auto* owned = new std::vector<T>(std::move(values));  // NOLINT: the capsule deletes it
  const nb::capsule owner(owned,
                          [](void* at) noexcept { delete static_cast<std::vector<T>*>(at); });
  const std::size_t size = owned->size();
  return nb::ndarray<nb::numpy, T>(owned->data(), {size}, owner);
}

void bind_codec(nb::module_& module);
void bind_dataset(nb::module_& module);
void bind_loader(nb::module_& module);
void bind_orders(nb::module_& module);
void bind_position(nb::module_& module);
void bind_split(nb::module_& module);
void bind_tokens(nb::module_& module);

/// Lets Ctrl-C through while C++ waits without the interpreter's lock.
void check_signals();

}  // namespace cellmill::python
