#include "anndata/selection_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// What the values of a column are to a comparison.
enum class Nature { text, number, boolean };

Nature nature_of(const ColumnInfo& column) {
  switch (column.kind) {
    case ColumnKind::string:
    case ColumnKind::nullable_string:
      return Nature::text;
    case ColumnKind::boolean:
    case ColumnKind::nullable_boolean:
      return Nature::boolean;
    case ColumnKind::numeric:
    case ColumnKind::nullable_integer:
      return Nature::number;
    case ColumnKind::categorical:
      if (column.dtype == DType::string) return Nature::text;
      return column.dtype == DType::boolean ? Nature::boolean : Nature::number;
    case ColumnKind::unsupported:
      break;
  }
  throw std::logic_error("a column of no kind that can be compared");
}

std::string described(const ColumnInfo& column) {
  const std::string values = column.dtype == DType::string ? "text" : dtype_name(column.dtype);
  if (column.kind != ColumnKind::categorical) return values;
  return (column.ordered ? "an ordered categorical of " : "a categorical of ") + values;
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

/// What may have been meant.
std::string columns_to_offer(const DataFrame& table, const std::string& wanted) {
  constexpr std::size_t kMostNames = 12;
  std::vector<std::string> names;
  for (const ColumnInfo& column : table.columns()) names.push_back(column.name);
  if (names.empty()) return "it has no columns";
  const auto nearest = nearest_names(wanted, names);
  if (!nearest.empty()) return fmt::format("nearest: {}", listed(nearest));
  const bool more = names.size() > kMostNames;
  if (more) names.resize(kMostNames);
  return fmt::format("it has {}{}", listed(names), more ? " …" : "");
}

bool fits(Nature nature, const Literal& literal) {
  if (std::holds_alternative<std::string>(literal.value)) return nature == Nature::text;
  if (std::holds_alternative<bool>(literal.value)) return nature == Nature::boolean;
  return nature != Nature::text;  // true is 1
}

}  // namespace

bool asks_for_order(const SelectionNode& condition) {
  return condition.kind == SelectionNode::Kind::compare &&
         condition.comparison != Comparison::equal && condition.comparison != Comparison::not_equal;
}

void check_condition(const SelectionNode& condition, const DataFrame& table,
                     const std::string& expression) {
  if (!table.has(condition.column)) {
    throw selection_error(Error::Kind::missing,
                          fmt::format("column '{}' is not in {}; {}", condition.column,
                                      table.location(), columns_to_offer(table, condition.column)),
                          expression, condition.position);
  }
  const ColumnInfo& column = table.column(condition.column);
  const auto fail = [&](const std::string& found, std::size_t position) {
    throw selection_error(Error::Kind::input,
                          fmt::format("{}: column '{}' is {}, {}", table.location(), column.name,
                                      described(column), found),
                          expression, position);
  };
  if (column.kind == ColumnKind::unsupported) {
    try {
      (void)table.read(column.name, {0, 0});
    } catch (const Error& error) {
      throw selection_error(error.kind(), error.what(), expression, condition.position);
    }
  }
  for (const Literal& literal : condition.literals) {
    if (!fits(nature_of(column), literal)) {
      fail("compared with " + literal_text(literal), literal.position);
    }
    if (asks_for_order(condition) && std::holds_alternative<bool>(literal.value)) {
      fail("true and false can only be asked for with == and !=", literal.position);
    }
  }
  const bool unordered_text = column.kind == ColumnKind::categorical && !column.ordered &&
                              nature_of(column) == Nature::text;
  if (asks_for_order(condition) && unordered_text) {
    fail("its levels have no order: only ==, != and in can be asked", condition.position);
  }
}

void warn_of_unknown_levels(const SelectionNode& condition, const DataFrame& table) {
  const ColumnInfo& column = table.column(condition.column);
  if (column.kind != ColumnKind::categorical || column.dtype != DType::string) return;
  if (asks_for_order(condition)) return;  // an error of evaluation
  const std::vector<std::string> levels = table.levels(column.name).to_vector();
  for (const Literal& literal : condition.literals) {
    const auto& wanted = std::get<std::string>(literal.value);
    if (std::find(levels.begin(), levels.end(), wanted) != levels.end()) continue;
    const auto nearest = nearest_names(wanted, levels);
    log_warning(fmt::format(
        "{}: column '{}' has no level {}{}", table.location(), column.name, literal_text(literal),
        nearest.empty() ? std::string() : fmt::format("; nearest: {}", listed(nearest))));
  }
}

}  // namespace cellmill
