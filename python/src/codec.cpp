#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "cellmill/storage/packed_rows.hpp"

namespace cellmill::python {
namespace {

using Bytes = nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// The native elements of a packed chunk, as bytes.
auto unpacked(const Bytes& chunk, const std::string& dtype, std::int64_t count) {
  std::vector<std::uint8_t> elements;
  {
    const nb::gil_scoped_release unlocked;
    const DType type = parse_dtype(dtype);
    elements.resize(static_cast<std::size_t>(count) * dtype_size(type));
    unpack_chunk(std::as_bytes(std::span(chunk.data(), chunk.shape(0))), type,
                 std::as_writable_bytes(std::span(elements)));
  }
  return array_of(std::move(elements));
}

}  // namespace

void bind_codec(nb::module_& module) {
  module.def("unpack_chunk", &unpacked, nb::arg("chunk"), nb::arg("dtype"), nb::arg("count"));
}

}  // namespace cellmill::python
