#pragma once

#include <memory>
#include <string>
#include <vector>

#include "anndata/cached_vector.hpp"
#include "cellmill/anndata/dataframe.hpp"

namespace cellmill {

struct ColumnArrays {
  std::unique_ptr<CachedVector> values;  ///< codes of a categorical column
  std::unique_ptr<CachedVector> mask;    ///< of a nullable one: true where missing
  std::unique_ptr<Array> categories;     ///< of a categorical one
  std::string why_not;                   ///< of an unsupported one
};

struct OpenedColumn {
  ColumnInfo info;
  ColumnArrays arrays;
};

/// What a column is and where its rows are; of unsupported kind if that can't be read.
/// \throws Error(input) if the frame has no such element
[[nodiscard]] OpenedColumn open_column(const Group& frame, const std::string& name);

/// An array of names: an array of strings or numbers, or the values of a nullable one.
[[nodiscard]] std::unique_ptr<Array> open_names(const Group& parent, const std::string& name);

/// Rows of an array as text: strings as they are, numbers and truth values as Python prints them.
[[nodiscard]] Strings read_as_text(const Array& array, Range rows);

/// Integers and truth values of any width. \throws Error(input) above 2^63 − 1
[[nodiscard]] std::vector<std::int64_t> read_integers(const CachedVector& vector, Range rows);

}  // namespace cellmill
