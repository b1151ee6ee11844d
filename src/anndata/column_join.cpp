#include "cellmill/anndata/column_join.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace cellmill {
namespace {

bool holds_text(const ColumnInfo& info) {
  return info.kind == ColumnKind::string || info.kind == ColumnKind::nullable_string ||
         (info.kind == ColumnKind::categorical && info.dtype == DType::string);
}

/// The dtype that holds both numbers: float64 for anything mixed with a float, int64 for different
/// integers.
DType common_dtype(DType a, DType b) {
  if (a == b) return a;
  return is_float(a) || is_float(b) ? DType::float64 : DType::int64;
}

/// The kind that holds what all frames have; pandas's choices where it has one.
ColumnInfo common_info(const std::string& name, const std::vector<const ColumnInfo*>& found,
                       bool some_missing) {
  ColumnInfo info = *found.front();
  info.name = name;
  const auto all = [&](const auto& test) {
    return std::all_of(found.begin(), found.end(),
                       [&](const ColumnInfo* one) { return test(*one); });
  };
  if (all([](const ColumnInfo& c) { return c.kind == ColumnKind::categorical; })) {
    // Levels of different types can only be told apart as text.
    if (!all([&](const ColumnInfo& c) { return c.dtype == info.dtype; }))
      info.dtype = DType::string;
    return info;
  }
  const bool any_text = !all([](const ColumnInfo& c) { return !holds_text(c); });
  const bool any_categorical =
      !all([](const ColumnInfo& c) { return c.kind != ColumnKind::categorical; });
  if (any_text || any_categorical) {
    const bool nullable =
        some_missing || !all([](const ColumnInfo& c) { return c.kind == ColumnKind::string; });
    info.kind = nullable ? ColumnKind::nullable_string : ColumnKind::string;
    info.dtype = DType::string;
    return info;
  }
  for (const ColumnInfo* one : found) info.dtype = common_dtype(info.dtype, one->dtype);
  const bool all_boolean = all([](const ColumnInfo& c) {
    return c.kind == ColumnKind::boolean || c.kind == ColumnKind::nullable_boolean;
  });
  const bool any_nullable = !all([](const ColumnInfo& c) {
    return c.kind == ColumnKind::numeric || c.kind == ColumnKind::boolean;
  });
  if (all_boolean) {
    info.kind = any_nullable || some_missing ? ColumnKind::nullable_boolean : ColumnKind::boolean;
    info.dtype = DType::boolean;
  } else if (any_nullable && !is_float(info.dtype)) {
    info.kind = ColumnKind::nullable_integer;
    if (info.dtype == DType::boolean) info.dtype = DType::int64;
  } else {
    info.kind = ColumnKind::numeric;
    if (some_missing && !is_float(info.dtype))
      info.dtype = DType::float64;  // NaN is the missing number
    if (info.dtype == DType::boolean) info.dtype = DType::int64;
  }
  return info;
}

/// Levels of all frames in order of appearance, and each frame's codes in terms of them.
void join_levels(JoinedColumn& column, std::span<const DataFrame* const> frames) {
  std::unordered_map<std::string, std::int32_t> places;
  bool same = true;
  for (std::size_t f = 0; f < frames.size(); ++f) {
    column.code_map.emplace_back();
    if (column.in_frame[f] == 0) continue;
    const Strings levels = frames[f]->levels(column.info.name);
    for (std::int64_t i = 0; i < levels.size(); ++i) {
      const auto [at, added] =
          places.emplace(std::string(levels[i]), static_cast<std::int32_t>(column.levels.size()));
      if (added) column.levels.push_back(levels[i]);
      column.code_map.back().push_back(at->second);
      same = same && at->second == static_cast<std::int32_t>(i);
    }
    same = same && levels.size() == column.levels.size();
  }
  // An order between the levels of different frames is not known.
  column.info.ordered = column.info.ordered && same;
}

std::string number_text(const ColumnInfo& from, const ColumnRows& rows, std::size_t i) {
  if (!rows.numbers.empty()) return fmt::format("{}", rows.numbers[i]);
  if (from.kind == ColumnKind::boolean || from.kind == ColumnKind::nullable_boolean) {
    return rows.integers[i] != 0 ? "True" : "False";
  }
  return fmt::format("{}", rows.integers[i]);
}

bool is_missing(const ColumnRows& rows, std::size_t i) {
  return (!rows.missing.empty() && rows.missing[i]) || (!rows.codes.empty() && rows.codes[i] < 0);
}

bool has_mask(const ColumnInfo& info) {
  return info.kind == ColumnKind::nullable_integer || info.kind == ColumnKind::nullable_boolean ||
         info.kind == ColumnKind::nullable_string;
}

std::size_t row_count(const ColumnRows& rows) {
  return std::max({rows.numbers.size(), rows.integers.size(), rows.codes.size(),
                   static_cast<std::size_t>(rows.strings.size())});
}

}  // namespace

bool readable_everywhere(const std::string& name, std::span<const DataFrame* const> frames) {
  return std::none_of(frames.begin(), frames.end(), [&](const DataFrame* frame) {
    return frame != nullptr && frame->has(name) &&
           frame->column(name).kind == ColumnKind::unsupported;
  });
}

JoinedColumn join_column(const std::string& name, std::span<const DataFrame* const> frames) {
  JoinedColumn column;
  std::vector<const ColumnInfo*> found;
  for (const DataFrame* frame : frames) {
    const bool has = frame != nullptr && frame->has(name);
    column.in_frame.push_back(has ? 1 : 0);
    if (has) found.push_back(&frame->column(name));
  }
  column.info = common_info(name, found, found.size() < frames.size());
  if (column.info.kind == ColumnKind::categorical) {
    join_levels(column, frames);
    return column;
  }
  for (std::size_t f = 0; f < frames.size(); ++f) {
    const bool categorical =
        column.in_frame[f] != 0 && frames[f]->column(name).kind == ColumnKind::categorical;
    column.frame_levels.push_back(categorical ? frames[f]->levels(name) : Strings{});
  }
  return column;
}

void append_rows(const JoinedColumn& column, std::size_t frame, const ColumnInfo& from,
                 const ColumnRows& rows, const std::vector<bool>& keep, ColumnRows& to) {
  for (std::size_t i = 0; i < row_count(rows); ++i) {
    if (!keep[i]) continue;
    const bool missing = is_missing(rows, i);
    if (has_mask(column.info)) to.missing.push_back(missing);
    switch (column.info.kind) {
      case ColumnKind::categorical:
        to.codes.push_back(
            missing ? -1 : column.code_map[frame][static_cast<std::size_t>(rows.codes[i])]);
        break;
      case ColumnKind::string:
      case ColumnKind::nullable_string:
        if (missing) {
          to.strings.push_back("");
        } else if (!rows.codes.empty()) {
          to.strings.push_back(column.frame_levels[frame][rows.codes[i]]);
        } else if (!rows.strings.empty()) {
          to.strings.push_back(rows.strings[static_cast<std::int64_t>(i)]);
        } else {
          to.strings.push_back(number_text(from, rows, i));
        }
        break;
      default:
        if (is_float(column.info.dtype)) {
          const double number =
              rows.numbers.empty() ? static_cast<double>(rows.integers[i]) : rows.numbers[i];
          to.numbers.push_back(missing ? std::numeric_limits<double>::quiet_NaN() : number);
        } else {
          to.integers.push_back(missing ? 0 : rows.integers[i]);
        }
    }
  }
}

void append_missing(const JoinedColumn& column, std::int64_t count, ColumnRows& to) {
  const auto n = static_cast<std::size_t>(count);
  if (has_mask(column.info)) to.missing.insert(to.missing.end(), n, true);
  switch (column.info.kind) {
    case ColumnKind::categorical:
      to.codes.insert(to.codes.end(), n, -1);
      break;
    case ColumnKind::string:
    case ColumnKind::nullable_string:
      for (std::size_t i = 0; i < n; ++i) to.strings.push_back("");
      break;
    default:
      if (is_float(column.info.dtype)) {
        to.numbers.insert(to.numbers.end(), n, std::numeric_limits<double>::quiet_NaN());
      } else {
        to.integers.insert(to.integers.end(), n, 0);
      }
  }
}

}  // namespace cellmill
