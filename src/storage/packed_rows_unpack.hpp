#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cellmill/storage/array.hpp"
#include "storage/packed_rows_layout.hpp"

namespace cellmill {

/// What decodes, and where to.
struct UnpackOptions {
  const PackedKernels* kernels = &packed_kernels();
  PackedCarry* carry = nullptr;  ///< for elements that go past the caches; flushed by the caller
};

/// A part of a chunk, and where it begins there.
struct PackedPlace {
  PackedChunk chunk;
  Range part;
  std::int64_t fragment = 0;  ///< the first one
};

/// Finds the part's first fragment, and has its bytes brought to the caches.
void find_part(PackedPlace& place);

/// Elements [part) of a chunk, as T (int32_t, float): what a C++ cast makes of an element of
/// `dtype`. What lies beyond the chunk's elements becomes zero. \throws Error(input)
template <class T>
void unpack_part(const PackedPlace& place, DType dtype, std::span<T> out,
                 const UnpackOptions& options = {});

/// The same as native elements of `dtype`.
void unpack_part(const PackedPlace& place, DType dtype, std::span<std::byte> out,
                 const UnpackOptions& options = {});

}  // namespace cellmill
