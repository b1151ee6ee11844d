#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "anndata/selection_syntax.hpp"

namespace cellmill {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
/// Bytes above 127 belong to letters of other alphabets.
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) { return starts_name(c) || is_digit(c); }
/// Bytes of a UTF-8 character after its first.
bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

class Lexer {
 public:
  explicit Lexer(const std::string& expression) : text_(expression) {}

  Token next() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    if (at_ == text_.size()) return {TokenKind::end, "", at_};
    const char c = text_[at_];
    if (c == '"' || c == '\'') return quoted_text(c);
    if (c == '`') return quoted_name();
    refuse_typographic_quotes();
    if (starts_name(c)) return taken(TokenKind::name, name_length());
    if (starts_number()) return number();
    return symbol();
  }

 private:
  [[nodiscard]] char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  [[noreturn]] void fail(const std::string& message, std::size_t position) const {
    throw selection_error(Error::Kind::usage, message, text_, position);
  }

  Token taken(TokenKind kind, std::size_t length) {
    Token token{kind, text_.substr(at_, length), at_};
    at_ += length;
    return token;
  }

  [[nodiscard]] std::size_t name_length() const {
    std::size_t length = 0;
    while (continues_name(peek(length))) ++length;
    return length;
  }

  [[nodiscard]] bool starts_number() const {
    const std::size_t sign = peek() == '-' || peek() == '+' ? 1 : 0;
    return is_digit(peek(sign)) || (peek(sign) == '.' && is_digit(peek(sign + 1)));
  }

  Token number() {
    std::size_t length = peek() == '-' || peek() == '+' ? 1 : 0;
    const auto skip_digits = [&] {
      while (is_digit(peek(length))) ++length;
    };
    skip_digits();
    if (peek(length) == '.') {
      ++length;
      skip_digits();
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
      ++length;
      if (peek(length) == '-' || peek(length) == '+') ++length;
      if (!is_digit(peek(length))) fail("the number ends in its exponent", at_ + length);
      skip_digits();
    }
    if (continues_name(peek(length)) || peek(length) == '.') {
      fail("this does not belong to a number", at_ + length);
    }
    return taken(TokenKind::number, length);
  }

  Token quoted_text(char quote) {
    Token token{TokenKind::text, "", at_};
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == quote) {
        ++at_;
        return token;
      }
      if (c != '\\') {
        token.text += c;
        continue;
      }
      ++at_;
      switch (peek()) {
        case 'n':
          token.text += '\n';
          break;
        case 't':
          token.text += '\t';
          break;
        case '\\':
        case '"':
        case '\'':
          token.text += peek();
          break;
        default:
          fail(R"(unknown escape; there are \\ \" \' \n \t)", at_ - 1);
      }
    }
    fail("this text is not closed", token.position);
  }

  Token quoted_name() {
    const std::size_t begin = at_ + 1;
    const std::size_t end = text_.find('`', begin);
    if (end == std::string::npos) fail("this backtick is not closed", at_);
    if (end == begin) fail("there is no column name between the backticks", at_);
    const Token token{TokenKind::quoted_name, text_.substr(begin, end - begin), at_};
    at_ = end + 1;
    return token;
  }

  void refuse_typographic_quotes() const {
    for (const std::string_view quote : {"“", "”", "„", "‘", "’", "«", "»"}) {
      if (text_.compare(at_, quote.size(), quote) == 0) {
        fail("typographic quotes; text is written \"like this\"", at_);
      }
    }
  }

  Token symbol() {
    for (const std::string_view two : {"==", "!=", "<=", ">="}) {
      if (text_.compare(at_, 2, two) == 0) return taken(TokenKind::symbol, 2);
    }
    switch (peek()) {
      case '<':
      case '>':
      case '(':
      case ')':
      case '[':
      case ']':
      case ',':
        return taken(TokenKind::symbol, 1);
      case '=':
        fail("equality is written ==", at_);
      case '&':
        fail("conditions are joined with 'and'", at_);
      case '|':
        fail("conditions are joined with 'or'", at_);
      case '!':
      case '~':
        fail("negation is written 'not'", at_);
      default:
        fail(fmt::format("unexpected character '{}'; column names with such characters go in "
                         "backticks",
                         peek()),
             at_);
    }
  }

  const std::string& text_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> selection_tokens(const std::string& expression) {
  Lexer lexer(expression);
  std::vector<Token> tokens;
  do {
    tokens.push_back(lexer.next());
  } while (tokens.back().kind != TokenKind::end);
  return tokens;
}

Error selection_error(Error::Kind kind, const std::string& message, const std::string& expression,
                      std::size_t position) {
  std::string shown = expression;
  std::replace_if(shown.begin(), shown.end(), is_space, ' ');
  const auto before = shown.begin() + static_cast<std::ptrdiff_t>(std::min(position, shown.size()));
  const auto bytes_inside = std::count_if(shown.begin(), before, continues_character);
  const auto column = static_cast<std::size_t>((before - shown.begin()) - bytes_inside);
  return {kind, fmt::format("{}\n  {}\n  {}^", message, shown, std::string(column, ' '))};
}

}  // namespace cellmill
