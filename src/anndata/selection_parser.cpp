#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "anndata/selection_syntax.hpp"

namespace cellmill {
namespace {

/// Parentheses and `not` within each other; a bound, so that no expression can exhaust the stack.
constexpr int kMaxDepth = 100;

using Kind = SelectionNode::Kind;

bool is_keyword(const std::string& name) {
  return name == "and" || name == "or" || name == "not" || name == "in" || name == "is" ||
         name == "null";
}

std::optional<bool> boolean_word(const std::string& name) {
  if (name == "true" || name == "True") return true;
  if (name == "false" || name == "False") return false;
  return std::nullopt;
}

std::optional<Comparison> comparison_symbol(const Token& token) {
  if (token.kind != TokenKind::symbol) return std::nullopt;
  if (token.text == "==") return Comparison::equal;
  if (token.text == "!=") return Comparison::not_equal;
  if (token.text == "<") return Comparison::less;
  if (token.text == "<=") return Comparison::less_equal;
  if (token.text == ">") return Comparison::greater;
  if (token.text == ">=") return Comparison::greater_equal;
  return std::nullopt;
}

/// By recursive descent: or → and → not → condition.
class Parser {
 public:
  explicit Parser(const std::string& expression)
      : expression_(expression), tokens_(selection_tokens(expression)) {}

  SelectionNode parse() {
    if (tokens_.size() == 1) {
      throw usage_error("the selection is empty; one would be: pass_filter == \"full\"");
    }
    SelectionNode root = disjunction(0);
    if (token().kind != TokenKind::end) fail_expected("'and', 'or' or the end");
    return root;
  }

 private:
  [[nodiscard]] const Token& token() const { return tokens_[at_]; }
  Token take() { return tokens_[at_++]; }

  [[nodiscard]] bool is_word(const char* word) const {
    return token().kind == TokenKind::name && token().text == word;
  }
  [[nodiscard]] bool is_symbol(const char* symbol) const {
    return token().kind == TokenKind::symbol && token().text == symbol;
  }
  bool take_word(const char* word) {
    if (!is_word(word)) return false;
    ++at_;
    return true;
  }

  [[noreturn]] void fail(const std::string& message, std::size_t position) const {
    throw selection_error(Error::Kind::usage, message, expression_, position);
  }
  [[noreturn]] void fail_expected(const std::string& expected) const {
    std::string found = "the end";
    if (token().kind == TokenKind::text) {
      found = "the text \"" + token().text + "\"";
    } else if (token().kind != TokenKind::end) {
      found = "'" + token().text + "'";
    }
    fail("expected " + expected + ", found " + found, token().position);
  }

  /// `and` binds tighter than `or`. Many joined alike are one node, so long chains stay flat.
  SelectionNode disjunction(int depth) {
    return chain(Kind::disjunction, "or",
                 [&] { return chain(Kind::conjunction, "and", [&] { return negation(depth); }); });
  }

  template <class Operand>
  SelectionNode chain(Kind kind, const char* word, const Operand& operand) {
    SelectionNode first = operand();
    if (!is_word(word)) return first;
    SelectionNode all;
    all.kind = kind;
    all.children.push_back(std::move(first));
    while (take_word(word)) all.children.push_back(operand());
    return all;
  }

  SelectionNode negation(int depth) {
    if (depth == kMaxDepth) {
      fail(fmt::format("nested deeper than {} levels", kMaxDepth), token().position);
    }
    if (take_word("not")) return negated(negation(depth + 1));
    if (!is_symbol("(")) return condition();
    ++at_;
    SelectionNode inner = disjunction(depth + 1);
    if (!is_symbol(")")) fail_expected("'and', 'or' or ')'");
    ++at_;
    return inner;
  }

  static SelectionNode negated(SelectionNode inner) {
    SelectionNode node;
    node.kind = Kind::negation;
    node.children.push_back(std::move(inner));
    return node;
  }

  SelectionNode condition() {
    const bool plain_name =
        token().kind == TokenKind::name && !is_keyword(token().text) && !boolean_word(token().text);
    if (!plain_name && token().kind != TokenKind::quoted_name) fail_expected("a column");
    SelectionNode node;
    node.position = token().position;
    node.column = take().text;
    if (const auto comparison = comparison_symbol(token())) {
      ++at_;
      node.comparison = *comparison;
      node.literals.push_back(literal());
      return node;
    }
    if (take_word("is")) {
      const bool negative = take_word("not");
      if (!take_word("null")) fail_expected(negative ? "'null'" : "'null' or 'not null'");
      node.kind = Kind::is_null;
      return negative ? negated(std::move(node)) : node;
    }
    if (ends_condition()) {
      node.literals.push_back({true, node.position});  // `doublet` alone: doublet == true
      return node;
    }
    const bool negative = take_word("not");
    if (!take_word("in")) {
      fail_expected(negative ? "'in'" : "a comparison (== != < <= > >= in, not in, is null)");
    }
    node.kind = Kind::in_list;
    node.literals = list();
    return negative ? negated(std::move(node)) : node;
  }

  [[nodiscard]] bool ends_condition() const {
    return token().kind == TokenKind::end || is_word("and") || is_word("or") || is_symbol(")");
  }

  std::vector<Literal> list() {
    const bool square = is_symbol("[");
    if (!square && !is_symbol("(")) fail_expected("'('");
    ++at_;
    const char* closing = square ? "]" : ")";
    std::vector<Literal> literals;
    while (literals.empty() || !is_symbol(closing)) {
      literals.push_back(literal());
      if (is_symbol(closing)) break;
      if (!is_symbol(",")) fail_expected(fmt::format("',' or '{}'", closing));
      ++at_;
    }
    ++at_;
    return literals;
  }

  Literal literal() {
    const std::size_t position = token().position;
    if (token().kind == TokenKind::text) return {take().text, position};
    if (token().kind == TokenKind::number) return number();
    if (token().kind == TokenKind::name) {
      if (const auto value = boolean_word(token().text)) {
        ++at_;
        return {*value, position};
      }
      if (token().text == "null") fail("missing values are found with 'is null'", position);
      fail(fmt::format("text is written in quotes: \"{}\"", token().text), position);
    }
    fail_expected("a text, a number, true or false");
  }

  Literal number() {
    const Token written = take();
    const std::size_t plus = written.text.front() == '+' ? 1 : 0;
    const char* const begin = written.text.data() + plus;
    const char* const end = written.text.data() + written.text.size();
    std::int64_t integer = 0;
    const auto as_integer = std::from_chars(begin, end, integer);
    if (as_integer.ec == std::errc() && as_integer.ptr == end) return {integer, written.position};
    double real = 0;
    if (std::from_chars(begin, end, real).ec != std::errc()) {
      fail("this number is out of range", written.position);
    }
    return {real, written.position};
  }

  const std::string& expression_;
  const std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace

SelectionNode parse_selection(const std::string& expression) { return Parser(expression).parse(); }

std::string literal_text(const Literal& literal) {
  struct Writer {
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const std::string& value) const { return "\"" + value + "\""; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
  };
  return std::visit(Writer{}, literal.value);
}

}  // namespace cellmill
