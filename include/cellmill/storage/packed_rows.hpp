#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/dtype.hpp"

namespace cellmill {

// The codec `cellmill.packed_rows` of Zarr v3, from the elements of a 1-D array to bytes and back:
// each row of a CSR matrix is packed for itself, so that rows are decoded in any order, each at its
// own cost (docs/formats.md has the layout). A chunk describes itself: its rows, kind and width of
// elements are in its bytes.

/// What the elements of a chunk are.
enum class PackedKind : std::uint8_t {
  raw,      ///< anything; kept as it is
  indices,  ///< integers, rising strictly within a row, 0 to 2^31 − 1
  counts    ///< whole numbers 0 to 2^32 − 1 of any type of integer or float
};

/// Packs one chunk, elements [first, first + n) of an array: native elements of `dtype`, not
/// strings. Elements that are not what `kind` says, or would take more bytes so, make the chunk a
/// `raw` one: nothing is ever lost.
/// \param row_ends where the rows end in the array, in order, e.g. `indptr` without its leading 0;
/// rows before and after the chunk may be among them, the last end at or after the chunk's. A row
/// that the chunk's borders cut becomes a fragment, packed for itself
/// \throws Error(input) if the rows do not cover the elements, or there are more than 2^27
[[nodiscard]] RawVector<std::byte> pack_chunk(PackedKind kind, DType dtype,
                                              std::span<const std::byte> elements,
                                              std::int64_t first,
                                              std::span<const std::int64_t> row_ends);

/// Unpacks a whole chunk to native elements of `dtype`. `out` is what a chunk of the array has;
/// what lies beyond the packed elements (beyond the array's end) becomes zero.
/// \throws Error(input) if the bytes are corrupt, hold elements of another width, or more than fit
void unpack_chunk(std::span<const std::byte> packed, DType dtype, std::span<std::byte> out);

}  // namespace cellmill
