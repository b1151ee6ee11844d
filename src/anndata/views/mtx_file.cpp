#include "anndata/views/mtx_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

constexpr std::string_view blanks = " \t";
// Far more than any disk holds, and few enough that their bytes can be counted.
constexpr std::int64_t most_entries = std::int64_t{1} << 56;

/// The next word of a line, which loses it; empty if there is none.
std::string_view take_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
  const std::string_view word = line.substr(0, line.find_first_of(blanks));
  line.remove_prefix(word.size());
  return word;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(blanks) == line.npos; }

std::string lower(std::string_view word) {
  std::string text(word);
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

/// Whether `word` is a number, and nothing but one.
template <class T>
bool parse(std::string_view word, T& value) {
  const char* end = word.data() + word.size();
  const auto [stopped, error] = std::from_chars(word.data(), end, value);
  return !word.empty() && error == std::errc() && stopped == end;
}

}  // namespace

MtxFile::MtxFile(const std::filesystem::path& path) : lines_(path) {
  read_banner();
  read_sizes();
}

void MtxFile::read_banner() {
  std::string_view line = lines_.next().value_or("");
  const std::string found(line.substr(0, 80));
  std::vector<std::string> words;
  while (!is_blank(line)) words.push_back(lower(take_word(line)));
  const bool known = words.size() == 5 && words[0] == "%%matrixmarket" && words[1] == "matrix" &&
                     words[2] == "coordinate" &&
                     (words[3] == "integer" || words[3] == "real" || words[3] == "pattern") &&
                     words[4] == "general";
  if (!known) {
    throw input_error(
        fmt::format("{}: '{}' found, expected '%%MatrixMarket matrix coordinate' and then integer, "
                    "real or pattern, and general",
                    lines_.location(), found));
  }
  pattern_ = words[3] == "pattern";
}

void MtxFile::read_sizes() {
  while (auto line = lines_.next()) {
    if (is_blank(*line) || line->starts_with('%')) continue;
    std::string_view rest = *line;
    const bool sizes = parse(take_word(rest), rows_) && parse(take_word(rest), columns_) &&
                       parse(take_word(rest), entries_) && is_blank(rest);
    if (!sizes || rows_ < 0 || columns_ < 0 || entries_ < 0 || entries_ > most_entries ||
        rows_ > std::numeric_limits<std::int32_t>::max()) {
      throw input_error(
          fmt::format("{}: '{}' found, expected the numbers of rows (at most 2^31 − "
                      "1), columns and entries",
                      lines_.location(), line->substr(0, 80)));
    }
    return;
  }
  throw input_error(lines_.location() + ": the file ends before its sizes");
}

std::optional<MtxEntry> MtxFile::next() {
  std::optional<std::string_view> line = lines_.next();
  while (line && (is_blank(*line) || line->starts_with('%'))) line = lines_.next();
  if (line.has_value() != (given_ < entries_)) {
    throw input_error(fmt::format("{}: {} entries found, expected {}", lines_.location(),
                                  line ? "more" : grouped(given_), grouped(entries_)));
  }
  if (!line) return std::nullopt;
  ++given_;
  std::int64_t row = 0;
  std::int64_t column = 0;
  float value = 1;
  std::string_view rest = *line;
  const bool numbers = parse(take_word(rest), row) && parse(take_word(rest), column) &&
                       (pattern_ || parse(take_word(rest), value)) && is_blank(rest);
  if (!numbers || row < 1 || row > rows_ || column < 1 || column > columns_) {
    throw input_error(
        fmt::format("{}: '{}' found, expected a row from 1 to {}, a column from 1 to "
                    "{}{}",
                    lines_.location(), line->substr(0, 80), grouped(rows_), grouped(columns_),
                    pattern_ ? "" : " and a number"));
  }
  return MtxEntry{static_cast<std::int32_t>(row - 1), column - 1, value};
}

}  // namespace cellmill
