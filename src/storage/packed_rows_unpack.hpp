#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "storage/packed_rows_layout.hpp"

namespace cellmill {

/// Elements [part) of a chunk, as T (int32_t, float): what a C++ cast makes of an element of
/// `dtype`. What lies beyond the chunk's elements becomes zero. \throws Error(input)
template <class T>
void unpack_part(const PackedChunk& chunk, DType dtype, Range part, std::span<T> out,
                 const PackedKernels& kernels = packed_kernels());

/// The same as native elements of `dtype`.
void unpack_part(const PackedChunk& chunk, DType dtype, Range part, std::span<std::byte> out,
                 const PackedKernels& kernels = packed_kernels());

}  // namespace cellmill
