#include "anndata/dataframe_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

/// Of a column's values, decoded, that may stay in memory.
constexpr std::int64_t most_cached_bytes = std::int64_t{16} << 20;

std::string encoding_of(const nlohmann::json& attributes) {
  const auto found = attributes.find("encoding-type");
  return found != attributes.end() && found->is_string() ? found->get<std::string>() : "";
}

std::unique_ptr<Array> open_vector(const Group& parent, const std::string& name) {
  std::unique_ptr<Array> array = parent.array(name);
  if (array->info().shape.size() != 1) {
    throw input_error(fmt::format("{}: has {} dimensions, expected 1", array->info().location,
                                  array->info().shape.size()));
  }
  return array;
}

std::unique_ptr<CachedVector> open_values(const Group& parent, const std::string& name) {
  return std::make_unique<CachedVector>(open_vector(parent, name), most_cached_bytes);
}

void describe_array(const Group& frame, OpenedColumn& column) {
  const nlohmann::json attributes = frame.attributes(column.info.name);
  column.arrays.values = open_values(frame, column.info.name);
  column.info.dtype = column.arrays.values->array().info().dtype;
  if (!column.arrays.values->array().info().fields.empty()) {
    throw input_error("it is a table in one array");
  }
  if (attributes.contains("categories")) {
    throw input_error("it is categorical, but its categories are not there");
  }
  if (column.info.dtype == DType::string) {
    column.info.kind = ColumnKind::string;
  } else if (column.info.dtype == DType::boolean) {
    column.info.kind = ColumnKind::boolean;
  } else {
    column.info.kind = ColumnKind::numeric;
  }
}

void describe_categorical(const Group& group, const nlohmann::json& attributes,
                          OpenedColumn& column) {
  column.info.kind = ColumnKind::categorical;
  column.info.ordered = attributes.value("ordered", false);
  column.arrays.values = open_values(group, "codes");
  column.arrays.categories = open_names(group, "categories");
  column.info.dtype = column.arrays.categories->info().dtype;
  const ArrayInfo& codes = column.arrays.values->array().info();
  if (!is_integer(codes.dtype)) {
    throw input_error(
        fmt::format("{}: holds {}, expected integers", codes.location, dtype_name(codes.dtype)));
  }
}

void describe_nullable(const Group& group, ColumnKind kind, OpenedColumn& column) {
  column.info.kind = kind;
  column.arrays.values = open_values(group, "values");
  column.arrays.mask = open_values(group, "mask");
  column.info.dtype = column.arrays.values->array().info().dtype;
  const bool text = column.info.dtype == DType::string;
  if (text != (kind == ColumnKind::nullable_string)) {
    throw input_error(fmt::format("{}: holds {}", column.arrays.values->array().info().location,
                                  dtype_name(column.info.dtype)));
  }
}

void describe_group(const Group& group, OpenedColumn& column) {
  const nlohmann::json attributes = group.attributes();
  const std::string encoding = encoding_of(attributes);
  if (encoding == "categorical") return describe_categorical(group, attributes, column);
  static const std::pair<const char*, ColumnKind> nullable[] = {
      {"nullable-integer", ColumnKind::nullable_integer},
      {"nullable-boolean", ColumnKind::nullable_boolean},
      {"nullable-string-array", ColumnKind::nullable_string}};
  for (const auto& [name, kind] : nullable) {
    if (encoding == name) return describe_nullable(group, kind, column);
  }
  throw input_error(fmt::format("its encoding-type is '{}'", encoding));
}

std::string float_text(std::string digits) {
  const bool whole = digits.find_first_not_of("-0123456789") == std::string::npos;
  return whole ? digits + ".0" : digits;
}

std::string number_text(float value) { return float_text(fmt::format("{}", value)); }
std::string number_text(double value) { return float_text(fmt::format("{}", value)); }
std::string number_text(std::int64_t value) { return fmt::format("{}", value); }

/// \throws Error(input) if a uint64 became negative
std::vector<std::int64_t> unwrapped(const Array& array, std::vector<std::int64_t> values) {
  const bool wrapped = array.info().dtype == DType::uint64 &&
                       std::any_of(values.begin(), values.end(), [](auto v) { return v < 0; });
  if (!wrapped) return values;
  throw input_error(array.info().location + ": a number above 2^63 − 1, which can't be read");
}

template <class T>
Strings as_text(const std::vector<T>& values) {
  Strings text;
  for (const T value : values) text.push_back(number_text(value));
  return text;
}

}  // namespace

OpenedColumn open_column(const Group& frame, const std::string& name) {
  OpenedColumn column;
  column.info.name = name;
  try {
    switch (frame.kind(name)) {
      case NodeKind::array:
        describe_array(frame, column);
        break;
      case NodeKind::group:
        describe_group(*frame.group(name), column);
        break;
      case NodeKind::none:
        break;
    }
  } catch (const Error& error) {
    column.info.kind = ColumnKind::unsupported;
    column.arrays = {};
    column.arrays.why_not = error.what();
    return column;
  }
  if (column.arrays.values == nullptr) {
    throw input_error(fmt::format("{}: column-order lists '{}', but there is no such column",
                                  frame.location(), name));
  }
  return column;
}

std::unique_ptr<Array> open_names(const Group& parent, const std::string& name) {
  if (parent.kind(name) != NodeKind::group) return open_vector(parent, name);
  return open_vector(*parent.group(name), "values");
}

Strings read_as_text(const Array& array, Range rows) {
  switch (array.info().dtype) {
    case DType::string:
      return array.read_strings(rows);
    case DType::float32:
      return as_text(read_range<float>(array, rows));
    case DType::float64:
      return as_text(read_range<double>(array, rows));
    case DType::boolean: {
      Strings text;
      for (const std::int64_t value : unwrapped(array, read_range<std::int64_t>(array, rows))) {
        text.push_back(value != 0 ? "True" : "False");
      }
      return text;
    }
    default:
      return as_text(unwrapped(array, read_range<std::int64_t>(array, rows)));
  }
}

std::vector<std::int64_t> read_integers(const CachedVector& vector, Range rows) {
  return unwrapped(vector.array(), vector.read<std::int64_t>(rows));
}

}  // namespace cellmill
