#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <optional>

#include "cellmill/core/error.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

namespace {

std::optional<DType> number_type(char kind, std::size_t size) {
  switch (kind) {
    case 'b':
      if (size == 1) return DType::boolean;
      break;
    case 'i':
      if (size == 1) return DType::int8;
      if (size == 2) return DType::int16;
      if (size == 4) return DType::int32;
      if (size == 8) return DType::int64;
      break;
    case 'u':
      if (size == 1) return DType::uint8;
      if (size == 2) return DType::uint16;
      if (size == 4) return DType::uint32;
      if (size == 8) return DType::uint64;
      break;
    case 'f':
      if (size == 4) return DType::float32;
      if (size == 8) return DType::float64;
      break;
    default:
      break;
  }
  return std::nullopt;
}

/// numpy's typestr: byte order, kind, size (for U in characters).
void parse_type(const std::string& text, ZarrMetadata& metadata) {
  const auto unsupported = [&] {
    return input_error(fmt::format("dtype '{}' is not supported", text));
  };
  if (text.size() < 2) throw unsupported();
  metadata.big_endian = text[0] == '>';
  const char kind = text[1];
  if (kind == 'O') {
    metadata.dtype = DType::string;
    metadata.text = TextForm::vlen_utf8;
    metadata.element_size = 0;
    return;
  }
  std::size_t size = 0;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data() + 2, end, size).ptr != end || size > (std::size_t{1} << 30)) {
    throw unsupported();
  }
  if (kind == 'U' || kind == 'S') {
    metadata.dtype = DType::string;
    metadata.text = kind == 'U' ? TextForm::ucs4 : TextForm::bytes;
    metadata.element_size = kind == 'U' ? 4 * size : size;
    if (size == 0) throw unsupported();
    return;
  }
  const std::optional<DType> dtype = number_type(kind, size);
  if (!dtype) throw unsupported();
  metadata.dtype = *dtype;
  metadata.element_size = size;
}

std::string type_text(const ZarrMetadata& metadata) {
  if (metadata.dtype == DType::string) return "|O";
  if (metadata.dtype == DType::boolean) return "|b1";
  const std::size_t size = dtype_size(metadata.dtype);
  const std::string name = dtype_name(metadata.dtype);
  return fmt::format("{}{}{}", size == 1 ? '|' : '<', name[0], size);
}

/// The strings that stand for a missing chunk. Of S and U only the empty one occurs (numpy's
/// zeros); any other is kept in base64 and not worth a decoder.
std::string parse_text_fill(const nlohmann::json& value, TextForm text) {
  if (value.is_null() || value.is_number()) return {};
  const auto fill = value.get<std::string>();
  if (text == TextForm::bytes && fill.find_first_not_of("A=") != std::string::npos) {
    throw input_error(
        fmt::format("fill value '{}' of fixed-length strings is not supported", fill));
  }
  return text == TextForm::bytes ? std::string() : fill;
}

}  // namespace

ZarrMetadata parse_zarr2(const nlohmann::json& document) {
  ZarrMetadata metadata;
  metadata.format = StoreFormat::zarr2;
  if (!document.at("dtype").is_string()) {
    throw input_error("structured dtype " + document["dtype"].dump() + " is not supported");
  }
  parse_type(document["dtype"].get<std::string>(), metadata);
  metadata.shape = parse_shape(document.at("shape"), "shape");
  metadata.chunk_shape = parse_shape(document.at("chunks"), "chunks");
  metadata.key_prefix = false;
  const auto separator = document.value("dimension_separator", std::string("."));
  if (separator != "." && separator != "/") {
    throw input_error(fmt::format("dimension_separator '{}' is not supported", separator));
  }
  metadata.separator = separator[0];
  if (document.value("order", std::string("C")) == "F" && metadata.shape.size() > 1) {
    for (std::size_t axis = metadata.shape.size(); axis-- > 0;) metadata.order.push_back(axis);
  }

  bool has_vlen_filter = false;
  const nlohmann::json filters = document.value("filters", nlohmann::json());
  for (const auto& filter : filters) {
    const auto id = filter.at("id").get<std::string>();
    if (metadata.text == TextForm::vlen_utf8 && (id == "vlen-utf8" || id == "vlen-bytes")) {
      has_vlen_filter = true;
    } else {
      metadata.codecs.push_back(parse_byte_codec(filter, metadata.element_size));
    }
  }
  if (metadata.text == TextForm::vlen_utf8 && !has_vlen_filter) {
    throw input_error("dtype '|O' with filters " + filters.dump() +
                      " is not supported; expected vlen-utf8");
  }
  const nlohmann::json compressor = document.value("compressor", nlohmann::json());
  if (!compressor.is_null()) {
    metadata.codecs.push_back(parse_byte_codec(compressor, metadata.element_size));
  }
  const nlohmann::json fill = document.value("fill_value", nlohmann::json());
  if (metadata.text == TextForm::none) {
    metadata.fill = parse_fill(fill, metadata.dtype);
  } else {
    metadata.fill_text = parse_text_fill(fill, metadata.text);
  }
  check_shapes(metadata);
  return metadata;
}

nlohmann::json zarr2_document(const ZarrMetadata& metadata) {
  nlohmann::json document = {{"zarr_format", 2},
                             {"shape", metadata.shape},
                             {"chunks", metadata.chunk_shape},
                             {"dtype", type_text(metadata)},
                             {"order", "C"},
                             {"dimension_separator", std::string(1, metadata.separator)},
                             {"filters", nullptr},
                             {"compressor", nullptr},
                             {"fill_value", 0}};
  if (metadata.text != TextForm::none) {
    document["filters"] = {{{"id", "vlen-utf8"}}};
    document["fill_value"] = "";
  } else if (metadata.dtype == DType::boolean) {
    document["fill_value"] = false;
  } else if (is_float(metadata.dtype)) {
    document["fill_value"] = 0.0;
  }
  if (!metadata.codecs.empty()) {
    document["compressor"] = byte_codec_json(metadata.codecs.front(), StoreFormat::zarr2);
  }
  return document;
}

}  // namespace cellmill
