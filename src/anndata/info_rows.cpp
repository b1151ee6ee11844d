#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/info.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t rows_at_once = 256;

Json names(const Strings& strings) {
  Json values = Json::array();
  for (std::int64_t i = 0; i < strings.size(); ++i) values.push_back(std::string(strings[i]));
  return values;
}

/// Levels as what they are: text, numbers, truth values.
Json levels_of(const DataFrame& frame, const ColumnInfo& column) {
  if (column.dtype == DType::string) return names(frame.levels(column.name));
  Json values = Json::array();
  for (const double level : frame.numeric_levels(column.name)) {
    if (column.dtype == DType::boolean) {
      values.push_back(level != 0);
    } else if (is_integer(column.dtype)) {
      values.push_back(static_cast<std::int64_t>(level));
    } else {
      values.push_back(level);
    }
  }
  return values;
}

Json categories(const std::vector<std::int32_t>& codes, const Json& levels) {
  Json values = Json::array();
  for (const std::int32_t code : codes) {
    values.push_back(code < 0 ? Json() : levels[static_cast<std::size_t>(code)]);
  }
  return values;
}

/// One value a row; null where it is missing. (JSON's text has null for NaN and infinity too.)
Json column_values(const DataFrame& frame, const ColumnInfo& column, Range range) {
  const ColumnRows rows = frame.read(column.name, range);
  Json values;
  if (column.kind == ColumnKind::categorical) {
    values = categories(rows.codes, levels_of(frame, column));
  } else if (column.dtype == DType::string) {
    values = names(rows.strings);
  } else if (column.dtype == DType::boolean) {
    values = Json::array();
    for (const std::int64_t value : rows.integers) values.push_back(value != 0);
  } else if (is_float(column.dtype)) {
    values = rows.numbers;
  } else {
    values = rows.integers;
  }
  for (std::size_t i = 0; i < rows.missing.size(); ++i) {
    if (rows.missing[i]) values[i] = nullptr;
  }
  return values;
}

Json frame_values(const DataFrame& frame, Range range, const char* name, Json& unreadable) {
  Json columns = Json::object();
  for (const ColumnInfo& column : frame.columns()) {
    try {
      columns[column.name] = column_values(frame, column, range);
    } catch (const Error& error) {
      unreadable[fmt::format("{}/{}", name, column.name)] = error.what();
    }
  }
  return columns;
}

/// Rows with their zeros.
Json dense_rows(const MatrixSource& x, Range range) {
  Json rows = Json::array();
  CsrChunk chunk;
  for (std::int64_t first = range.begin; first < range.end; first += rows_at_once) {
    x.decode(x.fetch({first, std::min(first + rows_at_once, range.end)}), chunk);
    for (std::size_t row = 0; row + 1 < chunk.indptr.size(); ++row) {
      std::vector<float> values(static_cast<std::size_t>(x.n_cols()));
      for (std::int64_t k = chunk.indptr[row]; k < chunk.indptr[row + 1]; ++k) {
        const auto at = static_cast<std::size_t>(k);
        values[static_cast<std::size_t>(chunk.indices[at])] = chunk.values[at];
      }
      rows.push_back(std::move(values));
    }
  }
  return rows;
}

std::string cell_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : value.dump();
}

}  // namespace

Json describe_rows(const std::filesystem::path& path, Range rows) {
  const std::unique_ptr<AnnData> data = AnnData::open(path);
  const Range range{std::min(rows.begin, data->n_obs()), std::min(rows.end, data->n_obs())};
  const Range genes{0, data->n_vars()};
  Json unreadable = Json::object();
  Json values = {{"begin", range.begin},
                 {"end", range.end},
                 {"obs_names", names(data->obs().index(range))},
                 {"obs", frame_values(data->obs(), range, "obs", unreadable)},
                 {"var_names", names(data->var().index(genes))},
                 {"var", frame_values(data->var(), genes, "var", unreadable)},
                 {"X", nullptr}};
  if (data->root().kind("X") != NodeKind::none) {
    try {
      values["X"] = dense_rows(data->x(), range);
    } catch (const Error& error) {
      unreadable["X"] = error.what();
    }
  }
  values["unreadable"] = std::move(unreadable);
  return values;
}

std::string rows_text(const Json& rows) {
  std::string text = fmt::format("  rows    {}:{}\n    name", rows["begin"].get<std::int64_t>(),
                                 rows["end"].get<std::int64_t>());
  for (const auto& [name, values] : rows["obs"].items()) text += '\t' + name;
  text += '\n';
  for (std::size_t row = 0; row < rows["obs_names"].size(); ++row) {
    text += "    " + cell_text(rows["obs_names"][row]);
    for (const auto& [name, values] : rows["obs"].items()) text += '\t' + cell_text(values[row]);
    text += '\n';
  }
  return text;
}

}  // namespace cellmill
