#include "storage/zarr_types.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"
#include "storage/json_file.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

constexpr std::size_t largest_element = std::size_t{1} << 30;

Error unsupported(const json& type) {
  return input_error(fmt::format("element type {} is not supported", type.dump()));
}

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
      if (size == 2 || size == 4) return DType::float32;
      if (size == 8) return DType::float64;
      break;
    case 'M':
    case 'm':
      if (size == 8) return DType::int64;
      break;
    default:
      break;
  }
  return std::nullopt;
}

/// Gives the fields their places; a record holds its fields without gaps.
void place_fields(std::vector<ZarrField>& fields) {
  std::set<std::string> names;
  std::size_t offset = 0;
  for (ZarrField& field : fields) {
    if (!names.insert(field.name).second) {
      throw input_error(fmt::format("has two fields '{}'", field.name));
    }
    field.offset = offset;
    std::size_t bytes = field.element.size;
    for (const std::int64_t length : field.shape) {
      if (static_cast<std::size_t>(length) > largest_element / bytes) {
        throw input_error(
            fmt::format("field '{}' has values of a shape that is not supported", field.name));
      }
      bytes *= static_cast<std::size_t>(length);
    }
    offset += bytes;
    if (offset > largest_element) throw input_error("has records of over 1 GiB");
  }
}

/// The type of a field; what has no fixed length, or fields of its own, can be none.
template <class Parse>
ZarrElement field_type(const std::string& name, const json& type, Parse&& parse) {
  return with_context(fmt::format("field '{}'", name), [&] {
    const ZarrElement element = parse(type);
    if (element.size == 0) throw unsupported(type);
    return element;
  });
}

/// A 16-bit float of IEEE 754; every one of them is a float.
float widen(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = half >> 10 & 0x1FU;
  const std::uint32_t fraction = half & 0x3FFU;
  if (exponent == 0) {  // zero, or a multiple of 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24F;
    return sign == 0 ? magnitude : -magnitude;
  }
  const std::uint32_t wide = exponent == 0x1F ? 0xFF : exponent + (127 - 15);
  return std::bit_cast<float>(sign | wide << 23 | fraction << 13);
}

/// Whether this is numpy's unit of dates: `[ns]`, `[25s]`.
bool is_unit(std::string_view text) {
  if (text.size() < 3 || text.front() != '[' || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  constexpr std::size_t most_digits = 9;
  const std::string_view unit = text.substr(digits);
  return digits <= most_digits && !unit.empty() &&
         unit.find_first_of("0123456789[]") == std::string_view::npos;
}

/// numpy's type of v3's dates and durations.
std::string time_of(const json& type) {
  const json options = extension_options(type);
  const auto unit = options.value("unit", std::string("generic"));
  constexpr std::int64_t most = 999'999'999;
  const std::int64_t scale =
      options.contains("scale_factor") ? json_integer(options["scale_factor"], 1, most) : 1;
  const char* const kind = extension_name(type) == "numpy.datetime64" ? "M8" : "m8";
  if (unit == "generic") return kind;
  const auto text = fmt::format("[{}{}]", scale == 1 ? "" : std::to_string(scale), unit);
  if (!is_unit(text)) throw unsupported(type);
  return kind + text;
}

}  // namespace

std::string extension_name(const json& extension) {
  return extension.is_string() ? extension.get<std::string>()
                               : extension.at("name").get<std::string>();
}

json extension_options(const json& extension) {
  return extension.is_object() ? extension.value("configuration", json::object()) : json::object();
}

ZarrElement parse_zarr2_type(const std::string& text) {
  if (text.size() < 2 || std::string_view("<>|=").find(text[0]) == std::string_view::npos) {
    throw unsupported(text);
  }
  const char kind = text[1];
  if (kind == 'O') return {DType::string, TextForm::vlen_utf8, 0, false, false};
  std::size_t size = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + 2, end, size);
  // A date's unit follows in brackets; whoever reads the numbers must know it.
  const bool unit = (kind == 'M' || kind == 'm') && after != end && is_unit({after, end});
  if (error != std::errc() || (after != end && !unit) || size == 0 || size > largest_element) {
    throw unsupported(text);
  }
  const bool big_endian = text[0] == '>';
  if (kind == 'U') return {DType::string, TextForm::ucs4, 4 * size, big_endian, false};
  if (kind == 'S') return {DType::string, TextForm::bytes, size, false, false};
  const std::optional<DType> dtype = number_type(kind, size);
  if (!dtype) throw unsupported(text);
  const bool is_time = kind == 'M' || kind == 'm';
  return {*dtype,     TextForm::none,           size,
          big_endian, kind == 'f' && size == 2, is_time ? text.substr(1) : std::string()};
}

ZarrElement parse_zarr3_type(const json& type) {
  const std::string name = extension_name(type);
  if (name == "string" || name == "variable_length_utf8") {
    return {DType::string, TextForm::vlen_utf8, 0, false, false};
  }
  if (name == "fixed_length_utf32" || name == "null_terminated_bytes") {
    const TextForm text = name == "fixed_length_utf32" ? TextForm::ucs4 : TextForm::bytes;
    const std::int64_t size =
        json_integer(extension_options(type).at("length_bytes"), 1, largest_element);
    const std::int64_t unit = text == TextForm::ucs4 ? 4 : 1;
    if (size % unit != 0) throw unsupported(type);
    return {DType::string, text, static_cast<std::size_t>(size), false, false};
  }
  if (name == "float16") return {DType::float32, TextForm::none, 2, false, true};
  if (name == "numpy.datetime64" || name == "numpy.timedelta64") {
    return {DType::int64, TextForm::none, sizeof(std::int64_t), false, false, time_of(type)};
  }
  const DType dtype = parse_dtype(name);
  return {dtype, TextForm::none, dtype_size(dtype), false, false};
}

json zarr3_time_type(const std::string& time) {
  json options = {{"unit", "generic"}, {"scale_factor", 1}};
  if (const std::size_t bracket = time.find('['); bracket != std::string::npos) {
    const std::size_t unit = time.find_first_not_of("0123456789", bracket + 1);
    if (unit > bracket + 1) {
      options["scale_factor"] = std::stoll(time.substr(bracket + 1, unit - bracket - 1));
    }
    options["unit"] = time.substr(unit, time.find(']') - unit);
  }
  return {{"name", time.starts_with('M') ? "numpy.datetime64" : "numpy.timedelta64"},
          {"configuration", options}};
}

std::vector<ZarrField> parse_zarr2_fields(const json& dtype) {
  std::vector<ZarrField> fields;
  if (!dtype.is_array()) return fields;
  for (const json& entry : dtype) {
    ZarrField field;
    field.name = entry.at(0).get<std::string>();
    field.element = field_type(field.name, entry.at(1), [](const json& type) {
      if (!type.is_string()) throw unsupported(type);
      return parse_zarr2_type(type.get<std::string>());
    });
    if (entry.size() > 2) {
      const json lengths = entry[2].is_array() ? entry[2] : json::array({entry[2]});
      for (const json& length : lengths) {
        field.shape.push_back(with_context(fmt::format("field '{}': shape", field.name), [&] {
          return json_integer(length, 1, largest_element);
        }));
      }
    }
    fields.push_back(std::move(field));
  }
  if (fields.empty()) throw unsupported(dtype);
  place_fields(fields);
  return fields;
}

std::vector<ZarrField> parse_zarr3_fields(const json& type) {
  std::vector<ZarrField> fields;
  const std::string name = extension_name(type);
  if (name != "struct" && name != "structured") return fields;
  const json options = extension_options(type);
  for (const json& entry : options.at("fields")) {
    ZarrField field;  // zarr-python's first form of it was a pair
    field.name =
        entry.is_array() ? entry.at(0).get<std::string>() : entry.at("name").get<std::string>();
    field.element = field_type(field.name, entry.is_array() ? entry.at(1) : entry.at("data_type"),
                               parse_zarr3_type);
    fields.push_back(std::move(field));
  }
  if (fields.empty()) throw unsupported(type);
  place_fields(fields);
  return fields;
}

std::size_t record_size(const std::vector<ZarrField>& fields) {
  if (fields.empty()) return 0;
  std::size_t last = fields.back().element.size;
  for (const std::int64_t length : fields.back().shape) last *= static_cast<std::size_t>(length);
  return fields.back().offset + last;
}

void swap_if_big_endian(const ZarrElement& element, std::span<std::byte> stored) {
  if (element.big_endian) swap_bytes(stored, element.swapped_size());
}

void to_native(const ZarrElement& element, std::span<std::byte> stored, std::span<std::byte> out) {
  swap_if_big_endian(element, stored);
  if (element.half) {
    for (std::size_t i = 0; i < stored.size() / 2; ++i) {
      std::uint16_t half = 0;
      std::memcpy(&half, stored.data() + 2 * i, sizeof half);
      const float wide = widen(half);
      std::memcpy(out.data() + sizeof wide * i, &wide, sizeof wide);
    }
  } else if (stored.data() != out.data() && !stored.empty()) {
    std::memcpy(out.data(), stored.data(), stored.size());
  }
}

std::vector<std::string> field_names(const std::vector<ZarrField>& fields) {
  std::vector<std::string> names;
  names.reserve(fields.size());
  for (const ZarrField& field : fields) names.push_back(field.name);
  return names;
}

}  // namespace cellmill
