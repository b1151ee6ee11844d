#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

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

}  // namespace cellmill
