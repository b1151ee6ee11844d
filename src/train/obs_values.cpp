#include "cellmill/train/obs_values.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <type_traits>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

/// The same numbers in another type.
template <class To, class Values>
std::vector<To> widened(const Values& values, std::size_t capacity) {
  std::vector<To> wide;
  wide.reserve(capacity);
  for (const auto value : values) wide.push_back(static_cast<To>(value));
  return wide;
}

}  // namespace

ObsValues::ObsValues(const JoinedColumn& column, std::int64_t n_rows)
    : name_(column.info.name), ordered_(column.info.ordered), levels_(column.levels) {
  const auto room = static_cast<std::size_t>(n_rows);
  const auto start = [&]<class T>(T) {
    std::vector<T> values;
    values.reserve(room);
    values_ = std::move(values);
  };
  switch (column.info.kind) {
    case ColumnKind::categorical:
    case ColumnKind::string:
    case ColumnKind::nullable_string:
      kind_ = Kind::codes;
      if (levels_.size() <= std::numeric_limits<std::int8_t>::max()) {
        start(std::int8_t{});
      } else if (levels_.size() <= std::numeric_limits<std::int16_t>::max()) {
        start(std::int16_t{});
      } else {
        start(std::int32_t{});
      }
      break;
    default:
      if (is_float(column.info.dtype)) {
        kind_ = Kind::numbers;
        column.info.dtype == DType::float32 ? start(float{}) : start(double{});
      } else {
        kind_ = Kind::integers;
        column.info.dtype == DType::boolean ? start(std::int8_t{}) : start(std::int64_t{});
      }
  }
}

std::int64_t ObsValues::size() const {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); },
                    values_);
}

std::int64_t ObsValues::bytes() const {
  return std::visit(
      [](const auto& values) {
        return static_cast<std::int64_t>(values.capacity() * sizeof(values[0]));
      },
      values_);
}

std::int32_t ObsValues::code_of(std::string_view text) {
  if (const auto known = code_of_.find(text); known != code_of_.end()) return known->second;
  const auto code = static_cast<std::int32_t>(levels_.size());
  levels_.push_back(text);
  code_of_.emplace(text, code);
  return code;
}

void ObsValues::append_codes(std::span<const std::int32_t> codes) {
  const auto rows = static_cast<std::size_t>(size()) + codes.size();
  if (levels_.size() > std::numeric_limits<std::int16_t>::max() &&
      !std::holds_alternative<std::vector<std::int32_t>>(values_)) {
    values_ = std::visit([&](const auto& values) { return widened<std::int32_t>(values, rows); },
                         values_);
  } else if (levels_.size() > std::numeric_limits<std::int8_t>::max() &&
             std::holds_alternative<std::vector<std::int8_t>>(values_)) {
    values_ = widened<std::int16_t>(std::get<std::vector<std::int8_t>>(values_), rows);
  }
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        for (const std::int32_t code : codes) values.push_back(static_cast<T>(code));
      },
      values_);
}

ObsValues ObsValues::with_levels(std::span<const std::string> levels) const {
  if (kind_ != Kind::codes) {
    throw usage_error(fmt::format("obs['{}'] holds numbers, which have no levels", name_));
  }
  ObsValues other(name_);
  other.ordered_ = ordered_;
  for (const std::string& level : levels) {
    if (other.code_of_.contains(level)) {
      throw usage_error(fmt::format("obs['{}']: level '{}' is given twice", name_, level));
    }
    (void)other.code_of(level);
  }
  std::vector<std::int32_t> map;
  for (std::int64_t code = 0; code < levels_.size(); ++code) {
    const auto found = other.code_of_.find(levels_[code]);
    map.push_back(found == other.code_of_.end() ? -1 : found->second);
  }
  if (!map.empty() && std::all_of(map.begin(), map.end(), [](auto code) { return code < 0; })) {
    throw usage_error(
        fmt::format("obs['{}']: none of its levels, e.g. '{}', is among those given{}", name_,
                    levels_[0], levels.empty() ? "" : fmt::format(", e.g. '{}'", levels[0])));
  }
  std::vector<std::int32_t> codes;
  codes.reserve(static_cast<std::size_t>(size()));
  std::visit(
      [&](const auto& values) {
        for (const auto value : values) {
          codes.push_back(value < 0 ? -1 : map[static_cast<std::size_t>(value)]);
        }
      },
      values_);
  other.values_ = std::vector<std::int8_t>();
  other.append_codes(codes);
  return other;
}

void ObsValues::append(const ColumnRows& rows) {
  if (kind_ == Kind::codes) {
    if (rows.strings.empty()) return append_codes(rows.codes);
    std::vector<std::int32_t> codes;
    for (std::int64_t i = 0; i < rows.strings.size(); ++i) {
      const bool missing = !rows.missing.empty() && rows.missing[static_cast<std::size_t>(i)];
      codes.push_back(missing ? -1 : code_of(rows.strings[i]));
    }
    return append_codes(codes);
  }
  const bool some_missing =
      std::find(rows.missing.begin(), rows.missing.end(), true) != rows.missing.end();
  if (kind_ == Kind::integers && some_missing) {
    values_ = std::visit(
        [&](const auto& values) { return widened<double>(values, values.capacity()); }, values_);
    kind_ = Kind::numbers;
  }
  const std::size_t count = rows.numbers.empty() ? rows.integers.size() : rows.numbers.size();
  std::visit(
      [&](auto& values) {
        using T = typename std::decay_t<decltype(values)>::value_type;
        for (std::size_t i = 0; i < count; ++i) {
          if (!rows.missing.empty() && rows.missing[i]) {
            values.push_back(static_cast<T>(std::numeric_limits<double>::quiet_NaN()));
          } else {
            values.push_back(rows.numbers.empty() ? static_cast<T>(rows.integers[i])
                                                  : static_cast<T>(rows.numbers[i]));
          }
        }
      },
      values_);
}

void ObsValues::gather(std::span<const std::int64_t> rows, std::span<std::int64_t> out) const {
  std::visit(
      [&](const auto& values) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
          out[i] = rows[i] < 0
                       ? -1
                       : static_cast<std::int64_t>(values[static_cast<std::size_t>(rows[i])]);
        }
      },
      values_);
}

void ObsValues::gather(std::span<const std::int64_t> rows, std::span<double> out) const {
  std::visit(
      [&](const auto& values) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
          out[i] = rows[i] < 0 ? std::numeric_limits<double>::quiet_NaN()
                               : static_cast<double>(values[static_cast<std::size_t>(rows[i])]);
        }
      },
      values_);
}

}  // namespace cellmill
