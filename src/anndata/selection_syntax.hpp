#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "cellmill/core/error.hpp"

namespace cellmill {

// How a selection is written: text → tokens → tree. What it means for a table is in
// selection_columns and selection.cpp. Positions are bytes in the expression.

enum class TokenKind { name, quoted_name, text, number, symbol, end };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  ///< the name; the characters of a text, escapes resolved; as written otherwise
  std::size_t position = 0;
};

/// \throws Error(usage) with a caret; the last token is always `end`
[[nodiscard]] std::vector<Token> selection_tokens(const std::string& expression);

struct Literal {
  std::variant<bool, std::int64_t, double, std::string> value;
  std::size_t position = 0;
};

enum class Comparison { equal, not_equal, less, less_equal, greater, greater_equal };

/// One condition on a column, or a combination of others. `not in` and `is not null` are negations.
struct SelectionNode {
  enum class Kind { compare, in_list, is_null, negation, conjunction, disjunction };
  Kind kind = Kind::compare;
  std::string column;
  std::size_t position = 0;  ///< of the column's name
  Comparison comparison = Comparison::equal;
  std::vector<Literal> literals;  ///< one for compare, any number for in_list
  std::vector<SelectionNode> children;
};

/// \throws Error(usage) with a caret
[[nodiscard]] SelectionNode parse_selection(const std::string& expression);

/// The message, the expression below it, and a caret under the character at `position`.
[[nodiscard]] Error selection_error(Error::Kind kind, const std::string& message,
                                    const std::string& expression, std::size_t position);

/// As it would be written: `"full"`, `1000`, `true`.
[[nodiscard]] std::string literal_text(const Literal& literal);

}  // namespace cellmill
