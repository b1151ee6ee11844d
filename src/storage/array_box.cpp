#include "storage/array_box.hpp"

#include <algorithm>
#include <cstring>

namespace cellmill {

std::vector<std::int64_t> c_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t axis = shape.size(); axis-- > 1;) {
    strides[axis - 1] = strides[axis] * shape[axis];
  }
  return strides;
}

void copy_box(std::span<const std::int64_t> extent, const std::byte* from,
              std::span<const std::int64_t> from_strides, std::byte* to,
              std::span<const std::int64_t> to_strides, std::size_t element_size) {
  for (const std::int64_t length : extent) {
    if (length <= 0) return;
  }
  // Inner axes that are contiguous in both buffers are one run.
  std::size_t outer = extent.size();
  std::int64_t run = 1;
  while (outer > 0 && from_strides[outer - 1] == run && to_strides[outer - 1] == run) {
    run *= extent[--outer];
  }
  const auto run_bytes = static_cast<std::size_t>(run) * element_size;
  const auto step = static_cast<std::ptrdiff_t>(element_size);
  std::vector<std::int64_t> at(outer, 0);
  while (true) {
    std::memcpy(to, from, run_bytes);
    std::size_t axis = outer;
    while (axis > 0) {
      --axis;
      from += from_strides[axis] * step;
      to += to_strides[axis] * step;
      if (++at[axis] < extent[axis]) break;
      from -= extent[axis] * from_strides[axis] * step;
      to -= extent[axis] * to_strides[axis] * step;
      at[axis] = 0;
      if (axis == 0) return;
    }
    if (outer == 0) return;
  }
}

std::vector<std::int64_t> grid_coordinates(std::int64_t index, std::span<const std::int64_t> grid) {
  std::vector<std::int64_t> coordinates(grid.size());
  for (std::size_t axis = grid.size(); axis-- > 0;) {
    coordinates[axis] = index % grid[axis];
    index /= grid[axis];
  }
  return coordinates;
}

std::vector<std::int64_t> chunk_grid(std::span<const std::int64_t> shape,
                                     std::span<const std::int64_t> chunk_shape) {
  std::vector<std::int64_t> grid(shape.size());
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    grid[axis] = shape[axis] / chunk_shape[axis] + (shape[axis] % chunk_shape[axis] != 0 ? 1 : 0);
  }
  return grid;
}

Bytes gather_chunk(std::span<const std::int64_t> shape, std::span<const std::int64_t> chunk_shape,
                   std::span<const std::int64_t> origin, std::int64_t first_row,
                   std::span<const std::byte> rows, std::size_t element_size) {
  const std::vector<std::int64_t> strides = c_strides(shape);
  std::vector<std::int64_t> extent(origin.size());
  std::size_t bytes = element_size;
  std::int64_t from = 0;
  bool whole = true;
  for (std::size_t axis = 0; axis < origin.size(); ++axis) {
    extent[axis] = std::min(chunk_shape[axis], shape[axis] - origin[axis]);
    whole = whole && extent[axis] == chunk_shape[axis];
    bytes *= static_cast<std::size_t>(chunk_shape[axis]);
    from += (origin[axis] - (axis == 0 ? first_row : 0)) * strides[axis];
  }
  Bytes chunk(bytes);
  if (!whole) std::fill(chunk.begin(), chunk.end(), std::byte{});
  copy_box(extent, rows.data() + static_cast<std::size_t>(from) * element_size, strides,
           chunk.data(), c_strides(chunk_shape), element_size);
  return chunk;
}

}  // namespace cellmill
