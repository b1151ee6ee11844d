#include "storage/zarr_metadata.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

template <class T>
std::vector<std::byte> bytes_of(T value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

template <class T>
std::vector<std::byte> integer_fill(const nlohmann::json& value) {
  if (value.is_number_unsigned()) return bytes_of(static_cast<T>(value.get<std::uint64_t>()));
  if (value.is_number_float()) return bytes_of(static_cast<T>(value.get<double>()));
  return bytes_of(static_cast<T>(value.get<std::int64_t>()));
}

template <class T, class Bits>
std::vector<std::byte> float_fill(const nlohmann::json& value) {
  if (!value.is_string()) return bytes_of(value.get<T>());
  const auto& text = value.get_ref<const std::string&>();
  if (text == "NaN") return bytes_of(std::numeric_limits<T>::quiet_NaN());
  if (text == "Infinity") return bytes_of(std::numeric_limits<T>::infinity());
  if (text == "-Infinity") return bytes_of(-std::numeric_limits<T>::infinity());
  Bits bits = 0;
  const char* const end = text.data() + text.size();
  if (text.starts_with("0x") && std::from_chars(text.data() + 2, end, bits, 16).ptr == end) {
    return bytes_of(bits);
  }
  throw input_error(fmt::format("fill value '{}' is not a number", text));
}

constexpr std::int64_t largest_chunk = 64'000'000'000;

std::int64_t checked_product(std::span<const std::int64_t> values, const char* what) {
  std::int64_t product = 1;
  for (const std::int64_t value : values) {
    if (__builtin_mul_overflow(product, value, &product)) {
      throw input_error(fmt::format("{} is too large", what));
    }
  }
  return product;
}

}  // namespace

std::string ZarrMetadata::key(std::span<const std::int64_t> coordinates) const {
  std::string text;
  if (key_prefix) text = "c";
  for (const std::int64_t coordinate : coordinates) {
    if (!text.empty()) text += separator;
    text += std::to_string(coordinate);
  }
  return text.empty() ? "0" : text;
}

ArrayInfo ZarrMetadata::info(std::string location) const {
  std::string codec_names = describe(codecs);
  if (sharded()) codec_names += ", sharded";
  return {std::move(location), dtype, shape, chunk_shape, std::move(codec_names)};
}

std::size_t ZarrMetadata::chunk_bytes() const {
  std::size_t bytes = element_size;
  for (const std::int64_t length : chunk_shape) bytes *= static_cast<std::size_t>(length);
  return bytes;
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
  const auto size = static_cast<std::int64_t>(std::max<std::size_t>(metadata.element_size, 1));
  std::vector<std::int64_t> bytes = metadata.shape;
  bytes.push_back(size);
  (void)checked_product(bytes, "shape");
  bytes = metadata.sharded() ? metadata.shard_shape : metadata.chunk_shape;
  bytes.push_back(size);
  // Readers make room for a whole chunk on the word of its metadata.
  if (checked_product(bytes, "chunk shape") > largest_chunk) {
    throw input_error(
        fmt::format("chunks of over {} are not supported", human_bytes(largest_chunk)));
  }
}

std::vector<std::byte> parse_fill(const nlohmann::json& value, DType dtype) {
  if (value.is_null()) return std::vector<std::byte>(dtype_size(dtype));
  switch (dtype) {
    case DType::boolean:
      return bytes_of(static_cast<std::uint8_t>(
          value.is_boolean() ? value.get<bool>() : value.get<std::int64_t>() != 0));
    case DType::int8:
      return integer_fill<std::int8_t>(value);
    case DType::int16:
      return integer_fill<std::int16_t>(value);
    case DType::int32:
      return integer_fill<std::int32_t>(value);
    case DType::int64:
      return integer_fill<std::int64_t>(value);
    case DType::uint8:
      return integer_fill<std::uint8_t>(value);
    case DType::uint16:
      return integer_fill<std::uint16_t>(value);
    case DType::uint32:
      return integer_fill<std::uint32_t>(value);
    case DType::uint64:
      return integer_fill<std::uint64_t>(value);
    case DType::float32:
      return float_fill<float, std::uint32_t>(value);
    case DType::float64:
      return float_fill<double, std::uint64_t>(value);
    case DType::string:
      break;
  }
  return {};
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
  metadata.dtype = spec.dtype;
  metadata.text = spec.dtype == DType::string ? TextForm::vlen_utf8 : TextForm::none;
  metadata.element_size = dtype_size(spec.dtype);
  metadata.shape = spec.shape;
  metadata.chunk_shape = spec.chunk_shape.empty() ? spec.shape : spec.chunk_shape;
  for (std::int64_t& length : metadata.chunk_shape) {
    if (spec.chunk_shape.empty() && length == 0) length = 1;  // an axis without elements
  }
  metadata.shard_shape = spec.shard_shape;
  if (metadata.sharded() && format != StoreFormat::zarr3) {
    throw input_error("shards need Zarr v3");
  }
  if (metadata.text != TextForm::none && metadata.shape.size() > 1) {
    throw input_error("string arrays of more than one dimension are not supported");
  }
  if (metadata.text == TextForm::none) metadata.fill = parse_fill(nullptr, spec.dtype);
  metadata.codecs =
      spec_codecs(spec.codec, spec.level, std::max<std::size_t>(metadata.element_size, 1));
  metadata.key_prefix = format == StoreFormat::zarr3;
  metadata.separator = format == StoreFormat::zarr3 ? '/' : '.';
  check_shapes(metadata);
  return metadata;
}

}  // namespace cellmill
