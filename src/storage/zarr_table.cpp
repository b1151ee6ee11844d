#include "storage/zarr_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/core/text.hpp"
#include "storage/json_file.hpp"
#include "storage/table_columns.hpp"
#include "storage/zarr_files.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

using nlohmann::json;

namespace {

constexpr std::size_t character_bytes = 4;

/// A column's bytes in each record.
struct Placed {
  const TableColumn* column = nullptr;
  std::vector<std::u32string> texts;
  std::size_t width = 0;
};

/// The text's characters. What is no UTF-8 is U+FFFD.
std::u32string characters_of(std::string_view text) {
  const std::string valid = valid_utf8(text);
  std::u32string characters;
  for (std::size_t i = 0; i < valid.size();) {
    const auto first = static_cast<unsigned char>(valid[i]);
    const std::size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    constexpr std::array<unsigned, 5> payload = {0, 0x7F, 0x1F, 0x0F, 0x07};
    char32_t character = first & payload[length];
    for (std::size_t k = 1; k < length; ++k) {
      character = character << 6U | (static_cast<unsigned char>(valid[i + k]) & 0x3FU);
    }
    characters.push_back(character);
    i += length;
  }
  return characters;
}

Placed place(const TableColumn& column) {
  Placed placed;
  placed.column = &column;
  if (column.dtype != DType::string) {
    placed.width = dtype_size(column.dtype);
    return placed;
  }
  std::size_t longest = 1;  // numpy has no strings of no length
  for (std::int64_t row = 0; row < column.strings.size(); ++row) {
    placed.texts.push_back(characters_of(column.strings[row]));
    longest = std::max(longest, placed.texts.back().size());
  }
  placed.width = longest * character_bytes;
  return placed;
}

/// numpy's typestr.
std::string zarr2_type(const Placed& placed) {
  const DType dtype = placed.column->dtype;
  if (dtype == DType::string) return "<U" + std::to_string(placed.width / character_bytes);
  if (dtype == DType::boolean) return "|b1";
  const bool is_unsigned = dtype == DType::uint8 || dtype == DType::uint16 ||
                           dtype == DType::uint32 || dtype == DType::uint64;
  const std::string kind = is_float(dtype) ? "f" : (is_unsigned ? "u" : "i");
  return (placed.width == 1 ? "|" : "<") + kind + std::to_string(placed.width);
}

json zarr3_type(const Placed& placed) {
  if (placed.column->dtype != DType::string) return dtype_name(placed.column->dtype);
  return {{"name", "fixed_length_utf32"}, {"configuration", {{"length_bytes", placed.width}}}};
}

json zarr3_fill(DType dtype) {
  if (dtype == DType::string) return "";
  if (dtype == DType::boolean) return false;
  if (is_float(dtype)) return 0.0;
  return 0;
}

/// So many zero bytes in base64: v2's fill value of a record.
std::string base64_zeros(std::size_t count) {
  std::string text(count / 3 * 4, 'A');
  if (count % 3 == 1) text += "AA==";
  if (count % 3 == 2) text += "AAA=";
  return text;
}

void describe_zarr2(json& document, const std::vector<Placed>& columns, std::size_t record) {
  document["dtype"] = json::array();
  for (const Placed& placed : columns) {
    document["dtype"].push_back({placed.column->name, zarr2_type(placed)});
  }
  document["fill_value"] = base64_zeros(record);
}

void describe_zarr3(json& document, const std::vector<Placed>& columns) {
  json fields = json::array();
  document["fill_value"] = json::object();
  for (const Placed& placed : columns) {
    fields.push_back({{"name", placed.column->name}, {"data_type", zarr3_type(placed)}});
    document["fill_value"][placed.column->name] = zarr3_fill(placed.column->dtype);
  }
  document["data_type"] = {{"name", "struct"}, {"configuration", {{"fields", fields}}}};
}

Bytes records_of(const std::vector<Placed>& columns, std::size_t rows, std::size_t record) {
  Bytes records(rows * record);
  std::size_t offset = 0;
  for (const Placed& placed : columns) {
    for (std::size_t row = 0; row < rows; ++row) {
      std::byte* const to = records.data() + row * record + offset;
      if (placed.column->dtype == DType::string) {
        std::memset(to, 0, placed.width);
        const std::u32string& text = placed.texts[row];
        std::memcpy(to, text.data(), text.size() * character_bytes);
      } else {
        std::memcpy(to, placed.column->values.data() + row * placed.width, placed.width);
      }
    }
    offset += placed.width;
  }
  return records;
}

}  // namespace

void write_zarr_table(const std::filesystem::path& folder, StoreFormat format,
                      std::span<const TableColumn> columns) {
  const std::int64_t rows = rows_of_table(columns);
  std::vector<Placed> placed;
  std::size_t record = 0;
  for (const TableColumn& column : columns) {
    placed.push_back(place(column));
    record += placed.back().width;
  }
  ArraySpec spec;  // all but the type is as for numbers
  spec.shape = {rows};
  spec.codec = "none";
  const ZarrMetadata metadata = spec_metadata(spec, format);
  json document;
  if (format == StoreFormat::zarr2) {
    document = zarr2_document(metadata);
    describe_zarr2(document, placed, record);
  } else {
    document = zarr3_document(metadata);
    describe_zarr3(document, placed);
  }
  write_json_file(folder / (format == StoreFormat::zarr2 ? ".zarray" : "zarr.json"), document);
  if (rows == 0) return;
  const std::vector<std::int64_t> first = {0};
  write_file(folder / metadata.key(first),
             records_of(placed, static_cast<std::size_t>(rows), record));
}

}  // namespace cellmill
