#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/error.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

/// A named extension: `"name"` or `{"name": …, "configuration": {…}}`.
std::string name_of(const json& extension) {
  return extension.is_string() ? extension.get<std::string>()
                               : extension.at("name").get<std::string>();
}

json configuration_of(const json& extension) {
  return extension.is_object() ? extension.value("configuration", json::object()) : json::object();
}

void parse_type(const json& type, ZarrMetadata& metadata) {
  const std::string name = name_of(type);
  if (name == "string" || name == "variable_length_utf8") {
    metadata.dtype = DType::string;
    metadata.text = TextForm::vlen_utf8;
    metadata.element_size = 0;
  } else if (name == "fixed_length_utf32" || name == "null_terminated_bytes") {
    metadata.dtype = DType::string;
    metadata.text = name == "fixed_length_utf32" ? TextForm::ucs4 : TextForm::bytes;
    metadata.element_size = configuration_of(type).at("length_bytes").get<std::size_t>();
    const std::size_t unit = metadata.text == TextForm::ucs4 ? 4 : 1;
    if (metadata.element_size == 0 || metadata.element_size % unit != 0 ||
        metadata.element_size > (std::size_t{1} << 30)) {
      throw input_error(fmt::format("data_type {} is not supported", type.dump()));
    }
  } else {
    metadata.dtype = parse_dtype(name);
    metadata.element_size = dtype_size(metadata.dtype);
  }
}

std::vector<std::size_t> parse_transpose(const json& configuration, std::size_t axes) {
  const json order = configuration.at("order");
  std::vector<std::size_t> parsed;
  if (order == "F") {
    for (std::size_t axis = axes; axis-- > 0;) parsed.push_back(axis);
  } else if (order != "C") {
    parsed = order.get<std::vector<std::size_t>>();
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

void parse_shards(const json& configuration, ZarrMetadata& metadata);

/// The chain of an array, or the one inside its shards.
void parse_codecs(const json& chain, ZarrMetadata& metadata) {
  bool elements_to_bytes = false;  // seen
  for (const json& codec : chain) {
    const std::string name = name_of(codec);
    const json configuration = configuration_of(codec);
    const auto misplaced = [&] {
      return input_error(fmt::format("codec '{}' is not supported at this place", name));
    };
    if (name == "transpose") {
      if (elements_to_bytes || !metadata.order.empty()) throw misplaced();
      metadata.order = parse_transpose(configuration, metadata.shape.size());
    } else if (name == "bytes" || name == "endian") {
      if (elements_to_bytes || metadata.text == TextForm::vlen_utf8) throw misplaced();
      metadata.big_endian = configuration.value("endian", std::string("little")) == "big";
      elements_to_bytes = true;
    } else if (name == "vlen-utf8") {
      if (elements_to_bytes || metadata.text != TextForm::vlen_utf8) throw misplaced();
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
          parse_byte_codec(named, std::max<std::size_t>(metadata.element_size, 1)));
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
    const std::string name = name_of(codec);
    if (name == "crc32c") {
      metadata.index_checksum = true;
    } else if (name != "bytes" ||
               configuration_of(codec).value("endian", std::string("little")) != "little") {
      throw input_error(fmt::format("codec '{}' of a shard's index is not supported", name));
    }
  }
  parse_codecs(configuration.at("codecs"), metadata);
}

json codec_chain(const ZarrMetadata& metadata) {
  json chain = json::array();
  if (metadata.text != TextForm::none) {
    chain.push_back({{"name", "vlen-utf8"}});
  } else if (metadata.element_size == 1) {
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
  parse_type(document.at("data_type"), metadata);
  metadata.shape = parse_shape(document.at("shape"), "shape");
  const json& grid = document.at("chunk_grid");
  if (name_of(grid) != "regular") {
    throw input_error(fmt::format("chunk_grid '{}' is not supported", name_of(grid)));
  }
  metadata.chunk_shape = parse_shape(configuration_of(grid).at("chunk_shape"), "chunk_shape");

  const json& keys = document.at("chunk_key_encoding");
  const std::string encoding = name_of(keys);
  if (encoding != "default" && encoding != "v2") {
    throw input_error(fmt::format("chunk_key_encoding '{}' is not supported", encoding));
  }
  metadata.key_prefix = encoding == "default";
  const auto separator =
      configuration_of(keys).value("separator", std::string(metadata.key_prefix ? "/" : "."));
  if (separator != "." && separator != "/") {
    throw input_error(fmt::format("chunk key separator '{}' is not supported", separator));
  }
  metadata.separator = separator[0];
  if (!document.value("storage_transformers", json::array()).empty()) {
    throw input_error("storage_transformers are not supported");
  }
  parse_codecs(document.at("codecs"), metadata);

  const json fill = document.value("fill_value", json());
  if (metadata.text == TextForm::none) {
    metadata.fill = parse_fill(fill, metadata.dtype);
  } else if (metadata.text != TextForm::bytes && fill.is_string()) {
    metadata.fill_text = fill.get<std::string>();
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
  if (metadata.text != TextForm::none) fill = "";
  if (metadata.dtype == DType::boolean) fill = false;
  if (is_float(metadata.dtype)) fill = 0.0;
  const auto& outer = metadata.sharded() ? metadata.shard_shape : metadata.chunk_shape;
  return {{"zarr_format", 3},
          {"node_type", "array"},
          {"shape", metadata.shape},
          {"data_type", dtype_name(metadata.dtype)},
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
