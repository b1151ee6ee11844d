#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "storage/codecs.hpp"

namespace cellmill {

/// Strides, in elements, of a C-ordered array of this shape.
[[nodiscard]] std::vector<std::int64_t> c_strides(std::span<const std::int64_t> shape);

/// Copies a box of `extent` elements of `element_size` bytes between two buffers with strides in
/// elements. Transposes where the strides say so.
void copy_box(std::span<const std::int64_t> extent, const std::byte* from,
              std::span<const std::int64_t> from_strides, std::byte* to,
              std::span<const std::int64_t> to_strides, std::size_t element_size);

/// The coordinates of the `index`-th (row-major) cell of a grid.
[[nodiscard]] std::vector<std::int64_t> grid_coordinates(std::int64_t index,
                                                         std::span<const std::int64_t> grid);

/// How many chunks lie along each axis.
[[nodiscard]] std::vector<std::int64_t> chunk_grid(std::span<const std::int64_t> shape,
                                                   std::span<const std::int64_t> chunk_shape);

/// The elements of the chunk at `origin`, out of `rows` of a C-ordered array of this shape that
/// begin at `first_row`; zeros where the chunk hangs over the array's edge.
[[nodiscard]] Bytes gather_chunk(std::span<const std::int64_t> shape,
                                 std::span<const std::int64_t> chunk_shape,
                                 std::span<const std::int64_t> origin, std::int64_t first_row,
                                 std::span<const std::byte> rows, std::size_t element_size);

}  // namespace cellmill
