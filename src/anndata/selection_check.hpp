#pragma once

#include <string>

#include "anndata/selection_syntax.hpp"
#include "cellmill/anndata/dataframe.hpp"

namespace cellmill {

/// Whether a condition is one of < <= > >=.
[[nodiscard]] bool asks_for_order(const SelectionNode& condition);

/// Whether the column of a condition is there and can be compared with what is asked.
/// \throws Error(missing) or Error(input), with a caret
void check_condition(const SelectionNode& condition, const DataFrame& table,
                     const std::string& expression);

/// Warns about texts that are no level of the categorical column they are compared with.
void warn_of_unknown_levels(const SelectionNode& condition, const DataFrame& table);

}  // namespace cellmill
