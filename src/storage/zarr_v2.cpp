#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

namespace {

std::string type_text(const ZarrMetadata& metadata) {
  const DType dtype = metadata.element.dtype;
  if (dtype == DType::string) return "|O";
  if (dtype == DType::boolean) return "|b1";
  if (!metadata.element.time.empty()) return '<' + metadata.element.time;
  const std::size_t size = dtype_size(dtype);
  const std::string name = dtype_name(dtype);
  return fmt::format("{}{}{}", size == 1 ? '|' : '<', name[0], size);
}

}  // namespace

ZarrMetadata parse_zarr2(const nlohmann::json& document) {
  ZarrMetadata metadata;
  metadata.format = StoreFormat::zarr2;
  metadata.fields = parse_zarr2_fields(document.at("dtype"));
  if (metadata.fields.empty()) {
    metadata.element = parse_zarr2_type(document["dtype"].get<std::string>());
  }
  const TextForm text = metadata.element.text;
  const std::size_t size = std::max(metadata.element.size, record_size(metadata.fields));
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
    if (text == TextForm::vlen_utf8 && (id == "vlen-utf8" || id == "vlen-bytes")) {
      has_vlen_filter = true;
    } else {
      metadata.codecs.push_back(parse_byte_codec(filter, size));
    }
  }
  if (text == TextForm::vlen_utf8 && !has_vlen_filter) {
    throw input_error("dtype '|O' with filters " + filters.dump() +
                      " is not supported; expected vlen-utf8");
  }
  const nlohmann::json compressor = document.value("compressor", nlohmann::json());
  if (!compressor.is_null()) {
    metadata.codecs.push_back(parse_byte_codec(compressor, size));
  }
  const nlohmann::json fill = document.value("fill_value", nlohmann::json());
  if (metadata.fields.empty()) {
    parse_fill(fill, metadata);
  } else {
    metadata.table_fill = fill;
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
  if (metadata.element.text != TextForm::none) {
    document["filters"] = {{{"id", "vlen-utf8"}}};
    document["fill_value"] = "";
  } else if (metadata.element.dtype == DType::boolean) {
    document["fill_value"] = false;
  } else if (is_float(metadata.element.dtype)) {
    document["fill_value"] = 0.0;
  }
  if (!metadata.codecs.empty()) {
    document["compressor"] = byte_codec_json(metadata.codecs.front(), StoreFormat::zarr2);
  }
  return document;
}

}  // namespace cellmill
