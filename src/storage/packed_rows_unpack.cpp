#include "storage/packed_rows_unpack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/dtype_visit.hpp"

namespace cellmill {

namespace {

using Fragment = PackedChunk::Fragment;

/// Room for n elements, kept by the thread; one buffer a type and purpose.
template <class T, int Purpose>
std::span<T> scratch(std::size_t n) {
  thread_local RawVector<T> buffer;
  if (buffer.size() < n) buffer.resize(n);
  return std::span(buffer).first(n);
}

void expect_width(const PackedChunk& chunk, DType dtype) {
  if (chunk.element_width() == dtype_size(dtype)) return;
  throw input_error(fmt::format("packed rows: elements of {} bytes, expected {} of {}",
                                chunk.element_width(), dtype_size(dtype), dtype_name(dtype)));
}

/// The streams, with scratch of this thread.
PackedFragment streams_of(const PackedChunk& chunk, const Fragment& fragment, PackedCarry* carry) {
  PackedFragment streams = chunk.streams(fragment);
  streams.carry = carry;
  streams.scratch = scratch<std::uint8_t, 2>(packed_scratch(streams.n)).data();
  return streams;
}

void expect_used_up(bool used_up, const Fragment& fragment) {
  if (used_up) return;
  throw input_error(fmt::format("packed rows: the row of elements {}–{} is not what it says",
                                grouped(fragment.elements.begin), grouped(fragment.elements.end)));
}

void expect_raw_bytes(const Fragment& fragment, std::size_t width) {
  const std::size_t expected = static_cast<std::size_t>(fragment.elements.size()) * width;
  if (fragment.bytes.size() == expected) return;
  throw input_error(fmt::format("packed rows: {} bytes for elements {}–{}, expected {}",
                                fragment.bytes.size(), grouped(fragment.elements.begin),
                                grouped(fragment.elements.end), expected));
}

/// Values of `indices` or `counts` in 32 bits.
void unpack_integers(const PackedChunk& chunk, const Fragment& fragment,
                     const UnpackOptions& options, std::uint32_t* out) {
  const PackedFragment streams = streams_of(chunk, fragment, options.carry);
  expect_used_up(chunk.kind() == PackedKind::indices
                     ? options.kernels->columns(streams, reinterpret_cast<std::int32_t*>(out))
                     : options.kernels->counts(streams, out),
                 fragment);
}

void unpack_floats(const PackedChunk& chunk, const Fragment& fragment, const UnpackOptions& options,
                   float* out) {
  if (chunk.kind() == PackedKind::counts) {
    return expect_used_up(
        options.kernels->float_counts(streams_of(chunk, fragment, options.carry), out), fragment);
  }
  const auto n = static_cast<std::size_t>(fragment.elements.size());
  const std::span<std::uint32_t> integers = scratch<std::uint32_t, 0>(n);
  unpack_integers(chunk, fragment, {options.kernels}, integers.data());
  std::copy(integers.begin(), integers.end(), out);
}

/// A whole fragment, as T.
template <class T>
void unpack_as(const PackedChunk& chunk, DType dtype, const Fragment& fragment,
               const UnpackOptions& options, std::span<T> out) {
  if (chunk.kind() == PackedKind::raw) {
    expect_raw_bytes(fragment, chunk.element_width());
    convert_elements<T>(dtype, fragment.bytes, out);
  } else if constexpr (std::is_same_v<T, float>) {
    unpack_floats(chunk, fragment, options, out.data());
  } else {
    unpack_integers(chunk, fragment, options, reinterpret_cast<std::uint32_t*>(out.data()));
  }
}

/// A whole fragment, as native elements.
void unpack_native(const PackedChunk& chunk, DType dtype, const Fragment& fragment,
                   const UnpackOptions& options, std::span<std::byte> out) {
  if (chunk.kind() == PackedKind::raw) {
    expect_raw_bytes(fragment, chunk.element_width());
    std::copy(fragment.bytes.begin(), fragment.bytes.end(), out.begin());
    return;
  }
  const auto n = static_cast<std::size_t>(fragment.elements.size());
  visit_dtype(dtype, [&]<class T>() {
    if constexpr (std::is_same_v<T, float>) {
      unpack_floats(chunk, fragment, options, reinterpret_cast<float*>(out.data()));
    } else if constexpr (std::is_integral_v<T> && sizeof(T) == 4) {
      unpack_integers(chunk, fragment, options, reinterpret_cast<std::uint32_t*>(out.data()));
    } else {
      const std::span<std::uint32_t> integers = scratch<std::uint32_t, 0>(n);
      unpack_integers(chunk, fragment, {options.kernels}, integers.data());
      std::copy(integers.begin(), integers.end(), reinterpret_cast<T*>(out.data()));
    }
  });
}

/// The fragments that make up `part`; those that it cuts by way of a buffer. `width` counts in
/// units of Out an element; `unpack(fragment, out, options)` unpacks a whole one.
template <class Out, class Unpack>
void for_fragments(const PackedPlace& place, std::size_t width, std::span<Out> out,
                   const UnpackOptions& options, Unpack unpack) {
  const PackedChunk& chunk = place.chunk;
  const Range part = place.part;
  const auto units = [&](std::int64_t elements) {
    return static_cast<std::size_t>(elements) * width;
  };
  if (part.begin < 0 || part.end < part.begin || out.size() < units(part.size())) {
    throw input_error(fmt::format("packed rows: elements {}–{} asked for, room for {}",
                                  grouped(part.begin), grouped(part.end), out.size() / width));
  }
  const std::int64_t packed_end = std::min(part.end, chunk.elements());
  std::int64_t at = part.begin;
  for (std::int64_t i = place.fragment; at < packed_end; ++i) {
    if (i == chunk.fragments()) throw input_error("packed rows: a row is missing");
    const Fragment fragment = chunk.fragment(i);
    const Range wanted{at, std::min(packed_end, fragment.elements.end)};
    if (wanted.begin < fragment.elements.begin || wanted.empty()) {
      throw input_error("packed rows: their ends do not rise");
    }
    const std::span<Out> to = out.subspan(units(at - part.begin), units(wanted.size()));
    if (wanted == fragment.elements) {
      unpack(fragment, to, options);
    } else {
      const std::span<Out> whole = scratch<Out, 1>(units(fragment.elements.size()));
      unpack(fragment, whole, UnpackOptions{options.kernels});
      const auto from = whole.subspan(units(at - fragment.elements.begin), to.size());
      std::copy(from.begin(), from.end(), to.begin());
    }
    at = wanted.end;
  }
  const auto rest = out.subspan(units(at - part.begin), units(part.end - at));
  std::fill(rest.begin(), rest.end(), Out{});
}

}  // namespace

void find_part(PackedPlace& place) {
  place.fragment = place.chunk.find(place.part.begin);
  if (place.fragment == place.chunk.fragments()) return;
  prefetch(place.chunk.fragment(place.fragment).bytes);
}

template <class T>
void unpack_part(const PackedPlace& place, DType dtype, std::span<T> out,
                 const UnpackOptions& options) {
  const PackedChunk& chunk = place.chunk;
  expect_width(chunk, dtype);
  for_fragments(place, 1, out, options,
                [&](const Fragment& fragment, std::span<T> to, const UnpackOptions& how) {
                  unpack_as<T>(chunk, dtype, fragment, how, to);
                });
}

template void unpack_part<std::int32_t>(const PackedPlace&, DType, std::span<std::int32_t>,
                                        const UnpackOptions&);
template void unpack_part<float>(const PackedPlace&, DType, std::span<float>, const UnpackOptions&);

void unpack_part(const PackedPlace& place, DType dtype, std::span<std::byte> out,
                 const UnpackOptions& options) {
  const PackedChunk& chunk = place.chunk;
  expect_width(chunk, dtype);
  for_fragments(place, dtype_size(dtype), out, options,
                [&](const Fragment& fragment, std::span<std::byte> to, const UnpackOptions& how) {
                  unpack_native(chunk, dtype, fragment, how, to);
                });
}

void unpack_chunk(std::span<const std::byte> packed, DType dtype, std::span<std::byte> out) {
  const PackedChunk chunk(packed);
  expect_width(chunk, dtype);
  const auto room = static_cast<std::int64_t>(out.size() / dtype_size(dtype));
  if (chunk.elements() > room) {
    throw input_error(fmt::format("packed rows: {} elements, expected at most {}",
                                  grouped(chunk.elements()), grouped(room)));
  }
  chunk.check_table();
  unpack_part({chunk, {0, room}, 0}, dtype, out);
}

}  // namespace cellmill
