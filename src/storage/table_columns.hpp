#pragma once

#include <cstdint>
#include <span>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// The rows that all columns have. \throws Error(input) if they differ, or there is no column
inline std::int64_t rows_of_table(std::span<const TableColumn> columns) {
  if (columns.empty()) throw input_error("a table without columns can't be written");
  const auto rows_of = [](const TableColumn& column) {
    return column.dtype == DType::string
               ? column.strings.size()
               : static_cast<std::int64_t>(column.values.size() / dtype_size(column.dtype));
  };
  const std::int64_t rows = rows_of(columns.front());
  for (const TableColumn& column : columns) {
    if (rows_of(column) != rows) {
      throw input_error(column.name + ": its length differs from the table's first column");
    }
  }
  return rows;
}

}  // namespace cellmill
