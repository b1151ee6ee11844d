#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Counts of some rows in about 1.6 bytes a non-zero, for the scratch cache: columns as one-byte
/// differences, values as four-bit fields with a list of those that don't fit. Lossless for any
/// float32.
///
/// Layout, little-endian: header {magic, rows, nnz, exceptions, index bytes, first row}; u32 length
/// of each row; half a byte a value (1…15; 0 is an exception); index bytes (1…255: the next column
/// is that far on; 0: 255 further, no value yet); the exceptions as float32 in order. Private to
/// one run: not a file format.
using Packed = RawVector<std::byte>;
[[nodiscard]] Packed pack_rows(const CsrChunk& rows);

/// About what pack_rows makes of a non-zero count, for budgets and estimates.
inline constexpr double packed_bytes_per_nonzero = 1.75;

/// Unpacks all columns. \throws Error(io) if the bytes are not what pack_rows made (a scratch file
/// that was damaged)
void unpack_rows(std::span<const std::byte> packed, std::int32_t n_cols, CsrChunk& out);

/// Unpacks only the columns with `slot[column] >= 0`, as columns `slot[column]` of a matrix of
/// `n_slots`; columns are sorted where the slots do not rise with the columns.
void unpack_rows(std::span<const std::byte> packed, std::span<const std::int32_t> slot,
                 std::int32_t n_slots, CsrChunk& out);

}  // namespace cellmill
