#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/anndata/dataframe.hpp"

namespace cellmill {

struct SelectionNode;

/// A condition on obs, e.g. `pass_filter == "full" and n_counts >= 1000` (docs/user-guide.md,
/// "Selections"). Grammar: comparisons == != < <= > >= with a string, number or true/false; `in
/// (…)`, `not in (…)`; `is null`, `is not null`; a boolean column alone; `and`, `or`, `not`,
/// parentheses; odd column names in backticks. Missing values (NaN among them) are as in SQL, not
/// as in pandas: a comparison with one, `!=` and `not in` too, is neither true nor false, nor is
/// its negation, and rows for which the whole is not true are not selected.
class Selection {
 public:
  /// \throws Error(usage) with a caret under the character that is wrong
  explicit Selection(const std::string& expression);
  Selection(Selection&&) noexcept;
  Selection& operator=(Selection&&) noexcept;
  ~Selection();

  [[nodiscard]] const std::string& text() const;
  /// Names of the columns it reads, each once.
  [[nodiscard]] const std::vector<std::string>& columns() const;

  /// Checks against a table: columns exist, types fit. \throws Error(missing) with a caret and the
  /// nearest names, Error(input) for a number compared with text; a string that is no level of a
  /// categorical column is only logged
  void check(const DataFrame& obs) const;

  /// Which of `rows` satisfy it. Categorical columns are compared by level once, then by code.
  [[nodiscard]] std::vector<bool> evaluate(const DataFrame& obs, Range rows) const;

 private:
  std::string text_;
  std::vector<std::string> columns_;
  std::unique_ptr<SelectionNode> root_;
};

}  // namespace cellmill
