#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/anndata/info.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/array.hpp"

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

/// Numbers as JSON. \param dtype of the matrix; uint64 comes as the same bits of int64
template <class T>
Json numbers(std::span<const T> values, DType dtype) {
  if (dtype != DType::uint64) return std::vector<T>(values.begin(), values.end());
  Json whole = Json::array();
  for (const T value : values) whole.push_back(static_cast<std::uint64_t>(value));
  return whole;
}

/// Adds a row's stored values, as the disk holds them, to its zeros.
template <class T>
void add_stored(const StoredRow& stored, std::span<T> row) {
  const std::vector<std::int32_t> columns =
      stored_columns(stored, static_cast<std::int32_t>(row.size()));
  std::vector<T> values(columns.size());
  convert_elements<T>(stored.value_dtype,
                      {stored.values, values.size() * dtype_size(stored.value_dtype)}, values);
  for (std::size_t k = 0; k < columns.size(); ++k) {
    row[static_cast<std::size_t>(columns[k])] += values[k];
  }
}

/// Rows of a sparse matrix with their zeros, one after the other.
template <class T>
std::vector<T> with_zeros(const MatrixSource& x, Range range) {
  const auto n_cols = static_cast<std::size_t>(x.n_cols());
  std::vector<T> values(static_cast<std::size_t>(range.size()) * n_cols);
  const auto row_at = [&](std::int64_t row) {
    return std::span(values).subspan(static_cast<std::size_t>(row - range.begin) * n_cols, n_cols);
  };
  const FetchedRows fetched = x.fetch(range);
  if (x.has_rows()) {
    with_context(x.location(), [&] {
      x.visit_rows(fetched,
                   [&](const StoredRow& stored) { add_stored<T>(stored, row_at(stored.row)); });
    });
    return values;
  }
  CsrRows<double> rows;
  x.decode_stored(fetched, rows);
  for (std::int64_t row = 0; row < rows.n_rows(); ++row) {
    const std::span<T> to = row_at(range.begin + row);
    for (std::int64_t k = rows.indptr[static_cast<std::size_t>(row)];
         k < rows.indptr[static_cast<std::size_t>(row) + 1]; ++k) {
      const auto at = static_cast<std::size_t>(k);
      to[static_cast<std::size_t>(rows.indices[at])] += static_cast<T>(rows.values[at]);
    }
  }
  return values;
}

/// Rows of X, every number exactly: T holds all of the matrix's type.
template <class T>
Json matrix_values(const AnnData& data, Range range) {
  const MatrixSource& x = data.x();
  const bool dense = data.root().kind("X") == NodeKind::array;
  const auto n_cols = static_cast<std::size_t>(x.n_cols());
  Json rows = Json::array();
  for (std::int64_t first = range.begin; first < range.end; first += rows_at_once) {
    const Range block{first, std::min(first + rows_at_once, range.end)};
    const std::vector<T> values =
        dense ? read_rows<T>(*data.root().array("X"), block) : with_zeros<T>(x, block);
    for (std::size_t row = 0; row < static_cast<std::size_t>(block.size()); ++row) {
      rows.push_back(numbers(std::span(values).subspan(row * n_cols, n_cols), x.dtype()));
    }
  }
  return rows;
}

std::string cell_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_null() ? "" : value.dump();
}

/// More than any assay has: what is shown is held as text.
constexpr std::int64_t most_genes = 10'000'000;

}  // namespace

Json describe_rows(const std::filesystem::path& path, Range rows) {
  const std::unique_ptr<AnnData> data = AnnData::open(path);
  const Range range{std::min(rows.begin, data->n_obs()), std::min(rows.end, data->n_obs())};
  const Range genes{0, data->n_vars()};
  if (genes.size() > most_genes) {
    throw input_error(fmt::format("{}: {} genes declared, the values of at most {} are shown",
                                  data->var().location(), grouped(genes.size()),
                                  grouped(most_genes)));
  }
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
      values["X"] = is_float(data->x().dtype()) ? matrix_values<double>(*data, range)
                                                : matrix_values<std::int64_t>(*data, range);
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
