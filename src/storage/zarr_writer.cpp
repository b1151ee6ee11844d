#include "storage/zarr_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"
#include "storage/packed_rows_layout.hpp"
#include "storage/string_rows.hpp"
#include "storage/zarr_files.hpp"
#include "storage/zarr_shards.hpp"
#include "storage/zarr_text.hpp"

namespace cellmill {

namespace {

std::int64_t product(std::span<const std::int64_t> values) {
  std::int64_t result = 1;
  for (const std::int64_t value : values) result *= value;
  return result;
}

}  // namespace

ZarrWriter::ZarrWriter(std::filesystem::path folder, std::string location, ZarrMetadata metadata)
    : folder_(std::move(folder)),
      location_(std::move(location)),
      metadata_(std::move(metadata)),
      unit_shape_(metadata_.sharded() ? metadata_.shard_shape : metadata_.chunk_shape) {
  const ZarrElement& element = metadata_.element;
  const bool other_elements = element.big_endian || element.half ||
                              element.text == TextForm::ucs4 || element.text == TextForm::bytes;
  const bool other_index =
      metadata_.sharded() && (metadata_.index_location == IndexLocation::start ||
                              !metadata_.index_checksum || metadata_.index_big_endian);
  if (other_elements || other_index || !metadata_.fields.empty() || !metadata_.order.empty()) {
    throw input_error(location_ +
                      ": big-endian, transposed, float16, fixed-length string and table arrays, "
                      "and shards with another index than ours can be read but not written");
  }
  const bool in_columns =
      !metadata_.shape.empty() && !std::equal(metadata_.shape.begin() + 1, metadata_.shape.end(),
                                              metadata_.chunk_shape.begin() + 1);
  if (element.text != TextForm::none && in_columns && product(metadata_.shape) > 0) {
    throw input_error(location_ + ": strings are written in chunks of whole rows only");
  }
}

std::int64_t ZarrWriter::unit_rows() const { return unit_shape_.empty() ? 1 : unit_shape_[0]; }

void ZarrWriter::check_rows(std::int64_t first_row, std::int64_t count) const {
  const std::int64_t total = metadata_.shape.empty() ? 1 : metadata_.shape[0];
  const bool inside = first_row >= 0 && count <= total - first_row;
  const bool aligned =
      first_row % unit_rows() == 0 && (count % unit_rows() == 0 || first_row + count == total);
  if (!inside || !aligned) {
    throw input_error(fmt::format(
        "{}: rows {}–{} can't be written: the array has {}, written in units of {}", location_,
        grouped(first_row), grouped(first_row + count), grouped(total), grouped(unit_rows())));
  }
}

void ZarrWriter::write_units(std::int64_t first_row, std::int64_t count,
                             const EncodeChunk& encode) const {
  std::vector<std::int64_t> grid = chunk_grid(metadata_.shape, unit_shape_);
  std::vector<std::int64_t> first(grid.size(), 0);
  if (!grid.empty()) {
    first[0] = first_row / unit_rows();
    grid[0] = (count + unit_rows() - 1) / unit_rows();
  }
  const std::int64_t units = product(grid);
  for (std::int64_t unit = 0; unit < units; ++unit) {
    std::vector<std::int64_t> at = grid_coordinates(unit, grid);
    std::vector<std::int64_t> origin(at.size());
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      at[axis] += first[axis];
      origin[axis] = at[axis] * unit_shape_[axis];
    }
    const std::string key = metadata_.key(at);
    with_context(location_, [&] {
      write_file(folder_ / key,
                 metadata_.sharded() ? encode_shard(origin, encode) : encode(origin));
    });
  }
}

Bytes ZarrWriter::encode_shard(std::span<const std::int64_t> origin,
                               const EncodeChunk& encode) const {
  const std::vector<std::int64_t> grid = chunk_grid(metadata_.shard_shape, metadata_.chunk_shape);
  std::vector<std::optional<Bytes>> chunks(static_cast<std::size_t>(product(grid)));
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    std::vector<std::int64_t> at = grid_coordinates(static_cast<std::int64_t>(i), grid);
    bool inside = true;
    for (std::size_t axis = 0; axis < at.size(); ++axis) {
      at[axis] = origin[axis] + at[axis] * metadata_.chunk_shape[axis];
      inside = inside && at[axis] < metadata_.shape[axis];
    }
    if (inside) chunks[i] = encode(at);
  }
  return assemble_shard(chunks);
}

Bytes ZarrWriter::encode_elements(std::span<const std::int64_t> origin, std::int64_t first_row,
                                  std::span<const std::byte> rows) const {
  if (metadata_.packed_rows) {
    const std::int64_t count = std::min(metadata_.chunk_shape[0], metadata_.shape[0] - origin[0]);
    const std::size_t width = metadata_.element.size;
    const auto elements = rows.subspan(static_cast<std::size_t>(origin[0] - first_row) * width,
                                       static_cast<std::size_t>(count) * width);
    return encode_bytes(metadata_.codecs, pack_chunk(PackedKind::counts, metadata_.element.dtype,
                                                     elements, 0, std::array{count}));
  }
  // Chunks of whole rows lie in one piece.
  const bool whole_rows =
      !origin.empty() && std::equal(metadata_.shape.begin() + 1, metadata_.shape.end(),
                                    metadata_.chunk_shape.begin() + 1);
  if (whole_rows && origin[0] + metadata_.chunk_shape[0] <= metadata_.shape[0]) {
    const std::size_t row = metadata_.chunk_bytes() / metadata_.chunk_shape[0];
    const auto skipped = static_cast<std::size_t>(origin[0] - first_row) * row;
    return encode_bytes(metadata_.codecs, rows.subspan(skipped, metadata_.chunk_bytes()));
  }
  const Bytes elements = gather_chunk(metadata_.shape, metadata_.chunk_shape, origin, first_row,
                                      rows, metadata_.element.size);
  return encode_bytes(metadata_.codecs, elements);
}

void ZarrWriter::write_rows(std::int64_t first_row, std::span<const std::byte> rows) {
  if (metadata_.element.text != TextForm::none) {
    throw input_error(location_ + ": holds strings, numbers can't be written");
  }
  const std::size_t row_bytes =
      metadata_.shape.empty()
          ? metadata_.element.size
          : static_cast<std::size_t>(product(std::span(metadata_.shape).subspan(1))) *
                metadata_.element.size;
  if (row_bytes == 0 || rows.size() % row_bytes != 0) {
    if (rows.empty()) return;  // rows without columns
    throw input_error(
        fmt::format("{}: {} bytes are not rows of {} bytes", location_, rows.size(), row_bytes));
  }
  const auto count = static_cast<std::int64_t>(rows.size() / row_bytes);
  check_rows(first_row, count);
  write_units(first_row, count, [&](std::span<const std::int64_t> origin) {
    return encode_elements(origin, first_row, rows);
  });
}

void ZarrWriter::write_packed(std::int64_t first_row,
                              std::span<const RawVector<std::byte>> chunks) {
  if (!metadata_.packed_rows) {
    throw input_error(location_ + ": packed rows can't be written to an array with another codec");
  }
  const std::int64_t length = metadata_.chunk_shape[0];
  const std::int64_t room =
      std::min(static_cast<std::int64_t>(chunks.size()) * length, metadata_.shape[0] - first_row);
  check_rows(first_row, room);
  write_units(first_row, room, [&](std::span<const std::int64_t> origin) {
    const auto& chunk = chunks[static_cast<std::size_t>((origin[0] - first_row) / length)];
    const std::int64_t expected = std::min(length, metadata_.shape[0] - origin[0]);
    const std::int64_t found = PackedChunk(chunk).elements();
    if (found != expected) {
      throw input_error(fmt::format("the chunk of elements {}–{} has {}", grouped(origin[0]),
                                    grouped(origin[0] + expected), grouped(found)));
    }
    return encode_bytes(metadata_.codecs, chunk);
  });
}

void ZarrWriter::write_strings(std::int64_t first_row, const Strings& rows) {
  if (metadata_.element.text == TextForm::none) {
    throw input_error(location_ + ": holds numbers, strings can't be written");
  }
  const std::int64_t count =
      with_context(location_, [&] { return rows_of_strings(metadata_.shape, rows.size()); });
  if (count == 0) return;
  const std::int64_t in_row = rows.size() / count;
  check_rows(first_row, count);
  write_units(first_row, count, [&](std::span<const std::int64_t> origin) {
    const std::int64_t first = origin.empty() ? 0 : (origin[0] - first_row) * in_row;
    const auto length = static_cast<std::int64_t>(metadata_.chunk_elements());
    const Bytes encoded = encode_vlen_utf8(rows, first, length);
    return encode_bytes(metadata_.codecs, encoded);
  });
}

}  // namespace cellmill
