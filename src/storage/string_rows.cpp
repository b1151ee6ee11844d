#include "storage/string_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <span>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/enough_memory.hpp"

namespace cellmill {

namespace {

std::int64_t product(std::span<const std::int64_t> values) {
  return std::accumulate(values.begin(), values.end(), std::int64_t{1}, std::multiplies<>());
}

std::int64_t rows_of(const ArrayInfo& info) { return info.shape.empty() ? 1 : info.shape[0]; }

/// Whether a chunk holds whole rows, and nothing else.
bool holds_rows(const ArrayInfo& info) {
  return info.shape.empty() || std::equal(info.shape.begin() + 1, info.shape.end(),
                                          info.chunk_shape.begin() + 1, info.chunk_shape.end());
}

/// So many rows, all of one row of chunks, whose columns are in several chunks: each string is
/// looked for where it lies. A chunk without strings was never written.
void interleave(const ArrayInfo& info, std::span<const Strings> chunks, std::int64_t rows,
                std::string_view fill, Strings& to) {
  std::vector<std::int64_t> box = info.shape;
  box[0] = rows;
  const std::vector<std::int64_t> grid = chunk_grid(info.shape, info.chunk_shape);
  const std::int64_t count = product(box);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::vector<std::int64_t> at = grid_coordinates(i, box);
    std::int64_t chunk = 0;
    std::int64_t place = at[0];
    for (std::size_t axis = 1; axis < at.size(); ++axis) {
      chunk = chunk * grid[axis] + at[axis] / info.chunk_shape[axis];
      place = place * info.chunk_shape[axis] + at[axis] % info.chunk_shape[axis];
    }
    const Strings& strings = chunks[static_cast<std::size_t>(chunk)];
    to.push_back(strings.empty() ? fill : strings[place]);
  }
}

}  // namespace

std::int64_t strings_a_row(const ArrayInfo& info) {
  return info.shape.empty() ? 1 : product(std::span(info.shape).subspan(1));
}

std::int64_t rows_of_strings(std::span<const std::int64_t> shape, std::int64_t strings) {
  const std::int64_t in_row = shape.empty() ? 1 : product(shape.subspan(1));
  if (strings == 0) return 0;
  if (in_row == 0 || strings % in_row != 0) {
    throw input_error(
        fmt::format("{} strings are not rows of {}", grouped(strings), grouped(in_row)));
  }
  return strings / in_row;
}

void expect_string_rows(const ArrayInfo& info, Range rows) {
  if (info.dtype != DType::string) {
    throw input_error(fmt::format("holds {}, expected strings", dtype_name(info.dtype)));
  }
  if (rows.begin < 0 || rows.end < rows.begin || rows.end > rows_of(info)) {
    throw input_error(fmt::format("rows {}–{} asked for, it has {}", grouped(rows.begin),
                                  grouped(rows.end), grouped(rows_of(info))));
  }
  if (!rows.empty()) expect_memory(rows.size() * strings_a_row(info), sizeof(std::int64_t));
}

Strings gather_strings(const ArrayInfo& info, Range rows, std::string_view fill,
                       const DecodeStrings& decode) {
  Strings strings;
  if (rows.empty() || strings_a_row(info) == 0) return strings;
  strings.reserve(rows.size() * strings_a_row(info), 0);
  const std::int64_t height = info.shape.empty() ? 1 : info.chunk_shape[0];
  const std::int64_t row = chunk_elements(info) / height;  // of a chunk
  const std::int64_t chunks_a_row = chunk_count(info) / ((rows_of(info) - 1) / height + 1);
  for (std::int64_t band = rows.begin / height; band * height < rows.end; ++band) {
    const Range inside{std::max(rows.begin - band * height, std::int64_t{0}),
                       std::min(rows.end - band * height, height)};
    const Range part{inside.begin * row, inside.end * row};
    if (holds_rows(info)) {
      if (decode(band, part, strings)) continue;
      for (std::int64_t i = 0; i < part.size(); ++i) strings.push_back(fill);
      continue;
    }
    with_context(info.location, [&] { expect_memory(chunks_a_row, sizeof(Strings)); });
    std::vector<Strings> chunks(static_cast<std::size_t>(chunks_a_row));
    for (std::int64_t i = 0; i < chunks_a_row; ++i) {
      (void)decode(band * chunks_a_row + i, part, chunks[static_cast<std::size_t>(i)]);
    }
    interleave(info, chunks, inside.size(), fill, strings);
  }
  return strings;
}

}  // namespace cellmill
