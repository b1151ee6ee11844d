#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

constexpr const char* packed_rows_codec = "cellmill.packed_rows";

std::vector<std::size_t> parse_transpose(const json& configuration, std::size_t axes) {
  const json order = configuration.at("order");
  std::vector<std::size_t> parsed;
  if (order == "F") {
    for (std::size_t axis = axes; axis-- > 0;) parsed.push_back(axis);
  } else if (order != "C") {
    const auto last = static_cast<std::int64_t>(axes) - 1;
    for (const json& axis : order) {
      parsed.push_back(static_cast<std::size_t>(json_integer(axis, 0, last)));
    }
  }
  std::vector<std::size_t> sorted = parsed;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t axis = 0; axis < sorted.size(); ++axis) {
    if (sorted.size() != axes || sorted[axis] != axis) {
      throw input_error(
          fmt::format("transpose order {} is no order of {} axes", order.dump(), axes));
    }
  }
  return parsed;
}

void set_byte_order(const std::string& order, ZarrMetadata& metadata) {
  if (order != "little" && order != "big") {
    throw input_error(fmt::format("byte order '{}', expected little or big", order));
  }
  metadata.element.big_endian = order == "big";
  for (ZarrField& field : metadata.fields) field.element.big_endian = order == "big";
}

void parse_shards(const json& configuration, ZarrMetadata& metadata);

/// The chain of an array, or the one inside its shards.
void parse_codecs(const json& chain, ZarrMetadata& metadata) {
  bool elements_to_bytes = false;  // seen
  for (const json& codec : chain) {
    const std::string name = extension_name(codec);
    const json configuration = extension_options(codec);
    const auto misplaced = [&] {
      return input_error(fmt::format("codec '{}' is not supported at this place", name));
    };
    if (name == "transpose") {
      if (elements_to_bytes || !metadata.order.empty()) throw misplaced();
      metadata.order = parse_transpose(configuration, metadata.shape.size());
    } else if (name == "bytes" || name == "endian") {
      if (elements_to_bytes || metadata.element.text == TextForm::vlen_utf8) throw misplaced();
      set_byte_order(configuration.value("endian", std::string("little")), metadata);
      elements_to_bytes = true;
    } else if (name == packed_rows_codec) {
      if (elements_to_bytes) throw misplaced();
      if (!configuration.empty()) {
        throw input_error(fmt::format("codec '{}' with a configuration is not supported", name));
      }
      metadata.packed_rows = true;
      check_packed(metadata);
      elements_to_bytes = true;
    } else if (name == "vlen-utf8") {
      if (elements_to_bytes || metadata.element.text != TextForm::vlen_utf8) throw misplaced();
      elements_to_bytes = true;
    } else if (name == "sharding_indexed") {
      if (elements_to_bytes || metadata.sharded() || !metadata.order.empty()) throw misplaced();
      parse_shards(configuration, metadata);
      elements_to_bytes = true;
      if (&codec != &chain.back()) {
        throw input_error("codecs around sharding_indexed are not supported");
      }
    } else {
      if (!elements_to_bytes) throw misplaced();
      const json named = {{"name", name}, {"configuration", configuration}};
      metadata.codecs.push_back(
          parse_byte_codec(named, std::max<std::size_t>(metadata.element.size, 1)));
    }
  }
  if (!elements_to_bytes) throw input_error("codecs lack one from elements to bytes");
}

void parse_shards(const json& configuration, ZarrMetadata& metadata) {
  metadata.shard_shape = metadata.chunk_shape;
  metadata.chunk_shape = parse_shape(configuration.at("chunk_shape"), "chunk_shape");
  const auto location = configuration.value("index_location", std::string("end"));
  if (location != "start" && location != "end") {
    throw input_error(fmt::format("index_location '{}', expected start or end", location));
  }
  metadata.index_location = location == "start" ? IndexLocation::start : IndexLocation::end;
  metadata.index_checksum = false;
  const json none = json::array();
  for (const json& codec : configuration.value("index_codecs", none)) {
    const std::string name = extension_name(codec);
    if (name == "crc32c") {
      metadata.index_checksum = true;
    } else if (name == "bytes") {
      metadata.index_big_endian =
          extension_options(codec).value("endian", std::string("little")) == "big";
    } else {
      throw input_error(fmt::format("codec '{}' of a shard's index is not supported", name));
    }
  }
  parse_codecs(configuration.at("codecs"), metadata);
}

json codec_chain(const ZarrMetadata& metadata) {
  json chain = json::array();
  if (metadata.packed_rows) {
    chain.push_back({{"name", packed_rows_codec}, {"configuration", json::object()}});
  } else if (metadata.element.text != TextForm::none) {
    chain.push_back({{"name", "vlen-utf8"}});
  } else if (metadata.element.size == 1) {
    chain.push_back({{"name", "bytes"}});
  } else {
    chain.push_back({{"name", "bytes"}, {"configuration", {{"endian", "little"}}}});
  }
  for (const ByteCodec& codec : metadata.codecs) {
    chain.push_back(byte_codec_json(codec, StoreFormat::zarr3));
  }
  return chain;
}

}  // namespace

ZarrMetadata parse_zarr3(const json& document) {
  ZarrMetadata metadata;
  metadata.format = StoreFormat::zarr3;
  const json& type = document.at("data_type");
  metadata.fields = parse_zarr3_fields(type);
  if (metadata.fields.empty()) metadata.element = parse_zarr3_type(type);
  metadata.shape = parse_shape(document.at("shape"), "shape");
  const json& grid = document.at("chunk_grid");
  if (extension_name(grid) != "regular") {
    throw input_error(fmt::format("chunk_grid '{}' is not supported", extension_name(grid)));
  }
  metadata.chunk_shape = parse_shape(extension_options(grid).at("chunk_shape"), "chunk_shape");

  const json& keys = document.at("chunk_key_encoding");
  const std::string encoding = extension_name(keys);
  if (encoding != "default" && encoding != "v2") {
    throw input_error(fmt::format("chunk_key_encoding '{}' is not supported", encoding));
  }
  metadata.key_prefix = encoding == "default";
  const auto separator =
      extension_options(keys).value("separator", std::string(metadata.key_prefix ? "/" : "."));
  if (separator != "." && separator != "/") {
    throw input_error(fmt::format("chunk key separator '{}' is not supported", separator));
  }
  metadata.separator = separator[0];
  if (!document.value("storage_transformers", json::array()).empty()) {
    throw input_error("storage_transformers are not supported");
  }
  parse_codecs(document.at("codecs"), metadata);

  const json fill = document.value("fill_value", json());
  if (metadata.fields.empty()) {
    parse_fill(fill, metadata);
  } else {
    metadata.table_fill = fill;
  }
  check_shapes(metadata);
  return metadata;
}

json zarr3_document(const ZarrMetadata& metadata) {
  json codecs = codec_chain(metadata);
  if (metadata.sharded()) {
    const json index_codecs = {{{"name", "bytes"}, {"configuration", {{"endian", "little"}}}},
                               {{"name", "crc32c"}}};
    const json shards = {{"chunk_shape", metadata.chunk_shape},
                         {"codecs", codecs},
                         {"index_codecs", index_codecs},
                         {"index_location", "end"}};
    codecs = json::array({{{"name", "sharding_indexed"}, {"configuration", shards}}});
  }
  json fill = 0;
  if (metadata.element.text != TextForm::none) fill = "";
  if (metadata.element.dtype == DType::boolean) fill = false;
  if (is_float(metadata.element.dtype)) fill = 0.0;
  const std::string& time = metadata.element.time;
  const json type = time.empty() ? json(dtype_name(metadata.element.dtype)) : zarr3_time_type(time);
  const auto& outer = metadata.sharded() ? metadata.shard_shape : metadata.chunk_shape;
  return {{"zarr_format", 3},
          {"node_type", "array"},
          {"shape", metadata.shape},
          {"data_type", type},
          {"chunk_grid", {{"name", "regular"}, {"configuration", {{"chunk_shape", outer}}}}},
          {"chunk_key_encoding",
           {{"name", "default"},
            {"configuration", {{"separator", std::string(1, metadata.separator)}}}}},
          {"fill_value", fill},
          {"codecs", codecs},
          {"attributes", json::object()},
          {"storage_transformers", json::array()}};
}

}  // namespace cellmill
