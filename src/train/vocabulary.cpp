#include "cellmill/train/vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_set>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

std::vector<std::string_view> cells_of(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t begin = 0;;) {
    const std::size_t end = line.find('\t', begin);
    cells.push_back(line.substr(begin, end - begin));
    if (end == std::string_view::npos) return cells;
    begin = end + 1;
  }
}

template <class Number>
Number number_of(std::string_view cell, std::string_view what) {
  Number number{};
  const auto [end, failed] = std::from_chars(cell.data(), cell.data() + cell.size(), number);
  if (failed != std::errc() || end != cell.data() + cell.size()) {
    throw input_error(fmt::format("{} '{}' found, expected a number", what, cell));
  }
  return number;
}

/// A line without what ends it on other systems.
bool read_line(std::istream& file, std::string& line) {
  if (!std::getline(file, line)) return false;
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

Vocabulary read_table(std::istream& file) {
  std::string line;
  if (!read_line(file, line)) throw input_error("it is empty");
  const std::string heads = line;
  const std::vector<std::string_view> columns = cells_of(heads);
  const auto place_of = [&](std::string_view name) {
    return static_cast<std::size_t>(std::find(columns.begin(), columns.end(), name) -
                                    columns.begin());
  };
  const std::size_t token = place_of("token");
  const std::size_t median = place_of("median");
  if (token == 0 || token == columns.size()) {
    throw input_error(
        fmt::format("line 1: '{}' found, expected columns separated by tabs: names, 'token' and, "
                    "for Geneformer, 'median'",
                    heads));
  }
  Vocabulary read;
  for (std::int64_t number = 2; read_line(file, line); ++number) {
    if (line.empty()) continue;
    with_context(fmt::format("line {}", grouped(number)), [&] {
      const std::vector<std::string_view> cells = cells_of(line);
      if (cells.size() != columns.size()) {
        throw input_error(
            fmt::format("{} columns found, expected {}", cells.size(), columns.size()));
      }
      read.names.emplace_back(cells[0]);
      read.ids.push_back(number_of<std::int32_t>(cells[token], "token"));
      if (median == columns.size()) return;
      read.medians.push_back(cells[median].empty() ? std::numeric_limits<double>::quiet_NaN()
                                                   : number_of<double>(cells[median], "median"));
    });
  }
  return read;
}

Vocabulary read_json(std::istream& file) {
  const nlohmann::ordered_json json = nlohmann::ordered_json::parse(file, nullptr, false);
  if (!json.is_object()) throw input_error("expected a JSON object of names and ids");
  Vocabulary read;
  for (const auto& [name, id] : json.items()) {
    if (!id.is_number_integer() || id < 0 || id > std::numeric_limits<std::int32_t>::max()) {
      throw input_error(fmt::format("'{}': {} found, expected an id", name, id.dump()));
    }
    read.names.push_back(name);
    read.ids.push_back(id.get<std::int32_t>());
  }
  return read;
}

}  // namespace

Vocabulary read_vocabulary(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw not_found_error(fmt::format("{}: there is no such file", path.string()));
  return with_context(path.string(), [&] {
    Vocabulary read = path.extension() == ".json" ? read_json(file) : read_table(file);
    check(read);
    return read;
  });
}

void write_vocabulary(const std::filesystem::path& path, const Vocabulary& vocabulary,
                      std::span<const std::int64_t> n_cells) {
  check(vocabulary);
  const bool medians = !vocabulary.medians.empty();
  std::string text = "gene\ttoken";
  if (medians) text += "\tmedian";
  if (!n_cells.empty()) text += "\tn_cells";
  text += '\n';
  for (std::size_t i = 0; i < vocabulary.names.size(); ++i) {
    text += fmt::format("{}\t{}", vocabulary.names[i], vocabulary.ids[i]);
    // As few digits as give the same number again.
    if (medians) text += '\t';
    if (medians && !std::isnan(vocabulary.medians[i]))
      text += fmt::format("{}", vocabulary.medians[i]);
    if (!n_cells.empty()) text += fmt::format("\t{}", n_cells[i]);
    text += '\n';
  }
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw io_error(path.string() + ": can't be written");
}

void check(const Vocabulary& vocabulary) {
  const std::size_t count = vocabulary.names.size();
  if (count == 0) throw input_error("the vocabulary is empty");
  if (vocabulary.ids.size() != count ||
      (!vocabulary.medians.empty() && vocabulary.medians.size() != count)) {
    throw input_error(fmt::format("{} names, {} ids and {} medians found, expected as many", count,
                                  vocabulary.ids.size(), vocabulary.medians.size()));
  }
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& name = vocabulary.names[i];
    if (!seen.insert(name).second) {
      throw input_error(fmt::format("'{}' occurs more than once", name));
    }
    if (vocabulary.ids[i] < 0) {
      throw input_error(
          fmt::format("'{}': token {} found, expected 0 or more", name, vocabulary.ids[i]));
    }
    if (vocabulary.medians.empty() || std::isnan(vocabulary.medians[i])) continue;
    if (!(vocabulary.medians[i] > 0) || std::isinf(vocabulary.medians[i])) {
      throw input_error(
          fmt::format("'{}': median {} found, expected more than 0", name, vocabulary.medians[i]));
    }
  }
}

std::vector<SpecialToken> special_tokens(const Vocabulary& vocabulary,
                                         std::span<const std::string_view> names) {
  std::int32_t next = 0;
  for (const std::int32_t id : vocabulary.ids) {
    if (id > std::numeric_limits<std::int32_t>::max() - 16) {
      throw input_error(fmt::format("token {}: no room for special tokens after it", grouped(id)));
    }
    next = std::max(next, id + 1);
  }
  std::vector<SpecialToken> found;
  for (const std::string_view name : names) {
    const auto at = std::find(vocabulary.names.begin(), vocabulary.names.end(), name);
    if (at == vocabulary.names.end()) {
      found.push_back({std::string(name), next++, true});
    } else {
      const auto place = static_cast<std::size_t>(at - vocabulary.names.begin());
      found.push_back({std::string(name), vocabulary.ids[place], false});
    }
  }
  return found;
}

}  // namespace cellmill
