#include "cellmill/anndata/dataframe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "anndata/dataframe_columns.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

std::vector<std::string> read_column_order(const Group& group, const nlohmann::json& attributes) {
  const auto order = attributes.find("column-order");
  std::vector<std::string> names;
  if (order != attributes.end() && order->is_array()) {
    for (const nlohmann::json& name : *order) {
      if (!name.is_string()) continue;
      names.push_back(name.get<std::string>());
    }
    if (names.size() == order->size()) return names;
  }
  throw input_error(fmt::format("{}: attribute column-order: {} found, expected a list of names",
                                group.location(),
                                order == attributes.end() ? "nothing" : order->dump()));
}

std::string read_index_name(const Group& group, const nlohmann::json& attributes) {
  const auto name = attributes.find("_index");
  if (name != attributes.end() && name->is_string()) return name->get<std::string>();
  throw input_error(fmt::format(
      "{}: attribute _index: {} found, expected the name of the index (encoding dataframe 0.2.0)",
      group.location(), name == attributes.end() ? "nothing" : name->dump()));
}

void expect_rows(const Array& array, std::int64_t expected) {
  const std::int64_t found = array.info().shape[0];
  if (found == expected) return;
  throw input_error(fmt::format("{}: {} rows found, expected {}, the length of the index",
                                array.info().location, grouped(found), grouped(expected)));
}

/// \throws Error(input) for a code that is no category's
std::vector<std::int32_t> read_codes(const ColumnArrays& arrays, Range rows) {
  std::vector<std::int32_t> codes = arrays.values->read<std::int32_t>(rows);
  const std::int64_t levels = arrays.categories->info().shape[0];
  for (std::size_t i = 0; i < codes.size(); ++i) {
    if (codes[i] >= -1 && codes[i] < levels) continue;
    throw input_error(fmt::format(
        "{}: row {}: code {} found, expected −1 to {}", arrays.values->array().info().location,
        grouped(rows.begin + static_cast<std::int64_t>(i)), codes[i], levels - 1));
  }
  return codes;
}

}  // namespace

DataFrame::DataFrame(std::unique_ptr<Group> group) : group_(std::move(group)) {
  const nlohmann::json attributes = group_->attributes();
  index_name_ = read_index_name(*group_, attributes);
  if (group_->kind(index_name_) == NodeKind::none) {
    throw input_error(fmt::format("{}: there is no index '{}'", group_->location(), index_name_));
  }
  index_ = open_names(*group_, index_name_);
  n_rows_ = index_->info().shape[0];
  for (const std::string& name : read_column_order(*group_, attributes)) {
    OpenedColumn column = open_column(*group_, name);
    for (const auto* vector : {column.arrays.values.get(), column.arrays.mask.get()}) {
      if (vector != nullptr) expect_rows(vector->array(), n_rows_);
    }
    places_.emplace(name, columns_.size());
    columns_.push_back(std::move(column.info));
    arrays_.push_back(std::move(column.arrays));
  }
}

DataFrame::DataFrame(DataFrame&&) noexcept = default;
DataFrame& DataFrame::operator=(DataFrame&&) noexcept = default;
DataFrame::~DataFrame() = default;

bool DataFrame::has(const std::string& name) const { return places_.contains(name); }

std::size_t DataFrame::place_of(const std::string& name) const {
  const auto found = places_.find(name);
  if (found != places_.end()) return found->second;
  std::vector<std::string> names;
  for (const ColumnInfo& column : columns_) names.push_back(column.name);
  const std::vector<std::string> nearest = nearest_names(name, names);
  throw missing_error(
      fmt::format("{}: there is no column '{}'; {}", location(), name,
                  nearest.empty() ? "it has none"
                                  : fmt::format("did you mean '{}'?", fmt::join(nearest, "', '"))));
}

const ColumnInfo& DataFrame::column(const std::string& name) const {
  return columns_[place_of(name)];
}

Strings DataFrame::index(Range rows) const { return read_as_text(*index_, rows); }

ColumnRows DataFrame::read(const std::string& name, Range rows) const {
  const std::size_t place = place_of(name);
  const ColumnInfo& info = columns_[place];
  const ColumnArrays& arrays = arrays_[place];
  ColumnRows out;
  switch (info.kind) {
    case ColumnKind::unsupported:
      throw input_error(fmt::format("{}/{}: can't be read: {}", location(), name, arrays.why_not));
    case ColumnKind::categorical:
      out.codes = read_codes(arrays, rows);
      return out;
    case ColumnKind::string:
    case ColumnKind::nullable_string:
      out.strings = arrays.values->array().read_strings(rows);
      break;
    case ColumnKind::numeric:
    case ColumnKind::boolean:
    case ColumnKind::nullable_integer:
    case ColumnKind::nullable_boolean:
      if (is_float(info.dtype)) {
        out.numbers = arrays.values->read<double>(rows);
      } else {
        out.integers = read_integers(*arrays.values, rows);
      }
      break;
  }
  if (arrays.mask != nullptr) {
    const std::vector<std::int64_t> mask = read_integers(*arrays.mask, rows);
    out.missing.assign(mask.begin(), mask.end());
  }
  return out;
}

const ColumnArrays& DataFrame::categorical(const std::string& name) const {
  const std::size_t place = place_of(name);
  if (columns_[place].kind == ColumnKind::categorical) return arrays_[place];
  throw input_error(fmt::format("{}/{}: is not categorical", location(), name));
}

Strings DataFrame::levels(const std::string& name) const {
  const Array& categories = *categorical(name).categories;
  return read_as_text(categories, {0, categories.info().shape[0]});
}

std::vector<double> DataFrame::numeric_levels(const std::string& name) const {
  return read_all<double>(*categorical(name).categories);
}

}  // namespace cellmill
