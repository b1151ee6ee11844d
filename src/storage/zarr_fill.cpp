#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <limits>

#include "cellmill/core/error.hpp"
#include "storage/zarr_metadata.hpp"
#include "storage/zarr_text.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

template <class T>
std::vector<std::byte> bytes_of(T value) {
  std::vector<std::byte> bytes(sizeof value);
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

[[noreturn]] void no_number(const json& value) {
  throw input_error(fmt::format("fill value {} is not a number of its type", value.dump()));
}

template <class T>
std::vector<std::byte> integer_fill(const json& value) {
  if (value.is_number_unsigned()) return bytes_of(static_cast<T>(value.get<std::uint64_t>()));
  if (value.is_number_integer()) return bytes_of(static_cast<T>(value.get<std::int64_t>()));
  if (value.is_boolean()) return bytes_of(static_cast<T>(value.get<bool>()));
  if (value == "NaT") return bytes_of(std::numeric_limits<T>::min());  // a date's missing value
  // Some writers give 0.0; what an integer can't hold is no fill value of it.
  constexpr double limit = 9007199254740992.0;  // 2^53
  const double number = value.is_number_float() ? value.get<double>() : limit * 2;
  if (!(number >= -limit && number <= limit)) no_number(value);
  return bytes_of(static_cast<T>(static_cast<std::int64_t>(number)));
}

template <class T, class Bits>
std::vector<std::byte> float_fill(const json& value) {
  if (value.is_number()) return bytes_of(value.get<T>());
  if (value.is_boolean()) return bytes_of(static_cast<T>(value.get<bool>()));
  if (!value.is_string()) no_number(value);
  const auto& text = value.get_ref<const std::string&>();
  if (text == "NaN") return bytes_of(std::numeric_limits<T>::quiet_NaN());
  if (text == "Infinity") return bytes_of(std::numeric_limits<T>::infinity());
  if (text == "-Infinity") return bytes_of(-std::numeric_limits<T>::infinity());
  Bits bits = 0;
  const char* const end = text.data() + text.size();
  if (!text.starts_with("0x") || std::from_chars(text.data() + 2, end, bits, 16).ptr != end) {
    no_number(value);
  }
  return bytes_of(bits);
}

std::vector<std::byte> half_fill(const json& value) {
  const bool bits = value.is_string() && value.get_ref<const std::string&>().starts_with("0x");
  if (!bits) return float_fill<float, std::uint32_t>(value);
  std::vector<std::byte> stored = float_fill<std::uint16_t, std::uint16_t>(value);
  std::vector<std::byte> wide(sizeof(float));
  to_native({DType::float32, TextForm::none, 2, false, true}, stored, wide);
  return wide;
}

std::vector<std::byte> number_fill(const json& value, const ZarrElement& element) {
  if (value.is_null()) return std::vector<std::byte>(dtype_size(element.dtype));
  switch (element.dtype) {
    case DType::boolean:
      return bytes_of(static_cast<std::uint8_t>(
          value.is_boolean() ? value.get<bool>() : value.is_number() && value.get<double>() != 0));
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
      return element.half ? half_fill(value) : float_fill<float, std::uint32_t>(value);
    case DType::float64:
      return float_fill<double, std::uint64_t>(value);
    case DType::string:
      break;
  }
  return {};
}

/// The value of a field in the bytes of one record.
void fill_from_record(std::span<const std::byte> record, ZarrMetadata& metadata) {
  const ZarrField& field = *metadata.field;
  std::size_t count = 1;
  for (const std::int64_t length : field.shape) count *= static_cast<std::size_t>(length);
  const auto stored = record.subspan(field.offset, count * field.element.size);
  std::vector<std::byte> bytes(stored.begin(), stored.end());
  if (field.element.text == TextForm::none) {
    metadata.fill.resize(count * dtype_size(field.element.dtype));
    to_native(field.element, bytes, metadata.fill);
  } else {
    swap_if_big_endian(field.element, bytes);
    metadata.fill_text =
        field.element.text == TextForm::ucs4 ? utf8_of_ucs4(bytes) : text_of_bytes(bytes);
  }
}

}  // namespace

void parse_fill(const json& value, ZarrMetadata& metadata) {
  if (metadata.element.text == TextForm::none) {
    metadata.fill = number_fill(value, metadata.element);
    return;
  }
  // Some versions of anndata gave 0 for strings.
  if (!value.is_string()) return;
  metadata.fill_text = value.get<std::string>();
  if (metadata.element.text == TextForm::bytes) {
    metadata.fill_text = text_of_bytes(bytes_of_base64(metadata.fill_text));
  }
}

ZarrMetadata ZarrMetadata::of_field(const ZarrField& chosen) const {
  if (shape.size() != 1) {
    throw input_error(fmt::format("is a table of {} dimensions, expected 1", shape.size()));
  }
  ZarrMetadata metadata = *this;
  metadata.element = chosen.element;
  metadata.field = chosen;
  for (std::vector<std::int64_t>* lengths : {&metadata.shape, &metadata.chunk_shape}) {
    lengths->insert(lengths->end(), chosen.shape.begin(), chosen.shape.end());
  }
  if (sharded()) {
    metadata.shard_shape.insert(metadata.shard_shape.end(), chosen.shape.begin(),
                                chosen.shape.end());
  }
  check_shapes(metadata);
  if (table_fill.is_string()) {
    const auto record = bytes_of_base64(table_fill.get<std::string>());
    if (record.size() != record_size(fields)) {
      throw input_error(fmt::format("its fill value has {} bytes, expected {}", record.size(),
                                    record_size(fields)));
    }
    fill_from_record(record, metadata);
  } else {
    parse_fill(table_fill.is_object() ? table_fill.value(chosen.name, json()) : json(), metadata);
  }
  return metadata;
}

}  // namespace cellmill
