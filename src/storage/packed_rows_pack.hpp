#pragma once

#include "cellmill/storage/packed_rows.hpp"
#include "storage/codecs.hpp"
#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

/// pack_chunk() by these kernels.
[[nodiscard]] Bytes pack_chunk(PackedKind kind, DType dtype, std::span<const std::byte> elements,
                               std::int64_t first, std::span<const std::int64_t> row_ends,
                               const PackedKernels& kernels);

}  // namespace cellmill
