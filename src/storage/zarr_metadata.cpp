#include "storage/zarr_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t largest_chunk = 64'000'000'000;

/// Of lengths that count as 1 if they are 0: no part of it overflows either.
std::int64_t checked_product(std::span<const std::int64_t> values, const char* what) {
  std::int64_t product = 1;
  for (const std::int64_t value : values) {
    if (__builtin_mul_overflow(product, std::max<std::int64_t>(value, 1), &product)) {
      throw input_error(fmt::format("{} is too large", what));
    }
  }
  return product;
}

}  // namespace

std::string ZarrMetadata::key(std::span<const std::int64_t> coordinates) const {
  // The values within a record add axes to its field, but none to the table's chunks.
  if (field) coordinates = coordinates.first(coordinates.size() - field->shape.size());
  std::string text;
  if (key_prefix) text = "c";
  for (const std::int64_t coordinate : coordinates) {
    if (!text.empty()) text += separator;
    text += std::to_string(coordinate);
  }
  return text.empty() ? "0" : text;
}

std::string ZarrMetadata::chunk_place(std::int64_t chunk) const {
  const std::vector<std::int64_t> grid = chunk_grid(shape, chunk_shape);
  const bool inside = chunk >= 0 && chunk < checked_product(grid, "chunk grid");
  if (sharded() || grid.empty() || !inside) return grouped(chunk);
  return fmt::format("{} ({})", grouped(chunk), key(grid_coordinates(chunk, grid)));
}

ArrayInfo ZarrMetadata::info(std::string location) const {
  std::string codec_names = describe(codecs);
  if (packed_rows) codec_names = "packed rows" + (codecs.empty() ? "" : '+' + codec_names);
  if (sharded()) codec_names += ", sharded";
  return {std::move(location),
          element.dtype,
          shape,
          chunk_shape,
          std::move(codec_names),
          field ? std::vector<std::string>() : field_names(fields),
          element.time};
}

std::size_t ZarrMetadata::chunk_elements() const {
  std::size_t elements = 1;
  for (const std::int64_t length : chunk_shape) elements *= static_cast<std::size_t>(length);
  return elements;
}

std::size_t ZarrMetadata::chunk_bytes() const {
  return chunk_elements() * (element.half ? dtype_size(element.dtype) : element.size);
}

std::size_t ZarrMetadata::stored_chunk_bytes() const {
  return field ? static_cast<std::size_t>(chunk_shape[0]) * record_size(fields)
               : chunk_elements() * element.size;
}

std::int64_t ZarrMetadata::most_encoded_bytes() const {
  if (element.text == TextForm::vlen_utf8) return largest_chunk;  // strings may have any length
  const std::size_t table = packed_rows ? 8 * chunk_elements() : 0;
  return static_cast<std::int64_t>(2 * (stored_chunk_bytes() + table) + codec_headers);
}

std::size_t ZarrMetadata::most_text_bytes(std::size_t encoded) const {
  // The same string over and over shrinks ten thousandfold, so the ratio alone tells nothing.
  constexpr std::size_t longest_on_average = 16 << 10;
  constexpr std::size_t always = 64 << 20;
  const std::size_t by_count =
      std::min<std::size_t>(chunk_elements(), largest_chunk) * longest_on_average;
  return std::min<std::size_t>(always + 1000 * encoded + by_count, largest_chunk);
}

void check_shapes(const ZarrMetadata& metadata) {
  if (metadata.shape.size() != metadata.chunk_shape.size()) {
    throw input_error(fmt::format("has {} dimensions and chunks of {}", metadata.shape.size(),
                                  metadata.chunk_shape.size()));
  }
  for (const std::int64_t length : metadata.chunk_shape) {
    if (length <= 0) throw input_error(fmt::format("chunk length {}, expected > 0", length));
  }
  if (metadata.sharded() && metadata.shard_shape.size() != metadata.chunk_shape.size()) {
    throw input_error(fmt::format("shards of {} dimensions with chunks of {}",
                                  metadata.shard_shape.size(), metadata.chunk_shape.size()));
  }
  for (std::size_t axis = 0; axis < metadata.shard_shape.size(); ++axis) {
    const std::int64_t shard = metadata.shard_shape[axis];
    if (shard <= 0 || shard % metadata.chunk_shape[axis] != 0) {
      throw input_error(fmt::format("shard length {}, expected a multiple of the chunks' {}", shard,
                                    metadata.chunk_shape[axis]));
    }
  }
  const auto size =
      static_cast<std::int64_t>(std::max({metadata.element.size, dtype_size(metadata.element.dtype),
                                          record_size(metadata.fields), std::size_t{1}}));
  std::vector<std::int64_t> bytes = metadata.shape;
  bytes.push_back(size);
  (void)checked_product(bytes, "shape");
  bytes = metadata.shard_shape;
  bytes.push_back(size);
  (void)checked_product(bytes, "shard shape");
  bytes = metadata.chunk_shape;
  bytes.push_back(size);
  // Readers make room for a whole chunk on the word of its metadata.
  if (checked_product(bytes, "chunk shape") > largest_chunk) {
    throw input_error(
        fmt::format("chunks of over {} are not supported", human_bytes(largest_chunk)));
  }
}

void check_packed(const ZarrMetadata& metadata) {
  if (!metadata.packed_rows) return;
  if (metadata.format != StoreFormat::zarr3) throw input_error("packed rows need Zarr v3");
  const ZarrElement& element = metadata.element;
  if (metadata.shape.size() != 1 || !metadata.order.empty() || !metadata.fields.empty() ||
      element.text != TextForm::none || element.half || element.big_endian) {
    throw input_error(
        fmt::format("packed rows are arrays of numbers in one dimension, expected that of {} in {}",
                    dtype_name(element.dtype), metadata.shape.size()));
  }
}

std::vector<std::int64_t> parse_shape(const nlohmann::json& value, const char* what) {
  std::vector<std::int64_t> shape;
  for (const auto& length : value) {
    if (!length.is_number_integer() || length.get<std::int64_t>() < 0) {
      throw input_error(fmt::format("{} {}, expected lengths of at least 0", what, value.dump()));
    }
    shape.push_back(length.get<std::int64_t>());
  }
  return shape;
}

ZarrMetadata spec_metadata(const ArraySpec& spec, StoreFormat format) {
  ZarrMetadata metadata;
  metadata.format = format;
  metadata.element.dtype = spec.dtype;
  metadata.element.text = spec.dtype == DType::string ? TextForm::vlen_utf8 : TextForm::none;
  metadata.element.size = dtype_size(spec.dtype);
  metadata.element.time = spec.time;
  metadata.shape = spec.shape;
  metadata.chunk_shape = spec.chunk_shape.empty() ? spec.shape : spec.chunk_shape;
  for (std::int64_t& length : metadata.chunk_shape) {
    if (spec.chunk_shape.empty() && length == 0) length = 1;  // an axis without elements
  }
  metadata.shard_shape = spec.shard_shape;
  if (metadata.sharded() && format != StoreFormat::zarr3) {
    throw input_error("shards need Zarr v3");
  }
  parse_fill(nullptr, metadata);
  metadata.packed_rows = spec.codec == "packed_rows";
  check_packed(metadata);
  if (spec.checksums && format != StoreFormat::zarr3) {
    throw input_error("checksums of chunks need Zarr v3");
  }
  metadata.codecs = spec_codecs(spec, std::max<std::size_t>(metadata.element.size, 1));
  metadata.key_prefix = format == StoreFormat::zarr3;
  metadata.separator = format == StoreFormat::zarr3 ? '/' : '.';
  check_shapes(metadata);
  return metadata;
}

}  // namespace cellmill
