#include "storage/json_file.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>

#include "cellmill/core/error.hpp"
#include "storage/zarr_files.hpp"

namespace cellmill {

namespace {

struct Special {
  std::string_view bare;
  std::string_view marked;  ///< stands for it in JSON that the parser knows
};
// Longest first: one is the end of another.
constexpr std::array<Special, 3> specials = {
    {{"-Infinity", "\x7f-Infinity"}, {"Infinity", "\x7fInfinity"}, {"NaN", "\x7fNaN"}}};

double special_value(std::string_view bare) {
  if (bare == "NaN") return std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  return bare.starts_with('-') ? -infinity : infinity;
}

/// Bare NaN and the like, outside strings, as marked strings.
std::string mark(std::string_view text) {
  std::string marked;
  marked.reserve(text.size() + 64);
  bool quoted = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      marked.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    if (c == '"') quoted = !quoted;
    std::size_t taken = 0;
    for (const Special& special : specials) {
      if (quoted || taken != 0 || !text.substr(i).starts_with(special.bare)) continue;
      marked.append("\"").append(special.marked).append("\"");
      taken = special.bare.size();
    }
    if (taken == 0) {
      marked.push_back(c);
      taken = 1;
    }
    i += taken;
  }
  return marked;
}

/// Copying and writing JSON recurse, so that brackets alone could exhaust the stack.
bool too_deep(std::string_view text) {
  constexpr int deepest = 200;
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '[' || c == '{')) {
      if (++depth > deepest) return true;
    } else if (!quoted && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

void unmark(nlohmann::json& node) {
  if (node.is_structured()) {
    for (auto& child : node) unmark(child);
  } else if (node.is_string()) {
    for (const Special& special : specials) {
      if (node.get_ref<const std::string&>() == special.marked) {
        node = special_value(special.bare);
        return;
      }
    }
  }
}

/// Whether a number had to be marked.
bool mark(nlohmann::json& node) {
  bool any = false;
  if (node.is_structured()) {
    for (auto& child : node) any = mark(child) || any;
  } else if (node.is_number_float() && !std::isfinite(node.get<double>())) {
    const double value = node.get<double>();
    node = std::string(
        specials[static_cast<std::size_t>(std::isnan(value) ? 2 : (value < 0 ? 0 : 1))].marked);
    any = true;
  }
  return any;
}

}  // namespace

nlohmann::json parse_json(std::string_view text) {
  if (too_deep(text)) throw input_error("not JSON that we read: nested too deeply");
  try {
    const bool plain =
        text.find("NaN") == std::string_view::npos && text.find("Infinity") == text.npos;
    if (plain) return nlohmann::json::parse(text);
    nlohmann::json document = nlohmann::json::parse(mark(text));
    unmark(document);
    return document;
  } catch (const nlohmann::json::exception& error) {
    throw input_error(std::string("not JSON: ") + error.what());
  }
}

std::int64_t json_integer(const nlohmann::json& value, std::int64_t lowest, std::int64_t highest) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<std::uint64_t>() > most);
  if (!fits || value.get<std::int64_t>() < lowest || value.get<std::int64_t>() > highest) {
    throw input_error(
        fmt::format("{}, expected an integer from {} to {}", value.dump(), lowest, highest));
  }
  return value.get<std::int64_t>();
}

std::string json_text(const nlohmann::json& document) {
  constexpr auto replace = nlohmann::json::error_handler_t::replace;  // bytes that aren't UTF-8
  nlohmann::json marked = document;
  if (!mark(marked)) return document.dump(2, ' ', false, replace);
  std::string text = marked.dump(2, ' ', false, replace);
  for (const Special& special : specials) {
    const std::string from = fmt::format("\"{}\"", special.marked);
    for (std::size_t at = text.find(from); at != text.npos; at = text.find(from, at)) {
      text.replace(at, from.size(), special.bare);
    }
  }
  return text;
}

std::optional<nlohmann::json> read_json(const ByteStore& store, const std::string& key) {
  const std::optional<Bytes> bytes = store.read(key, most_document_bytes);
  if (!bytes) return std::nullopt;
  return with_context(store.place(key), [&] {
    return parse_json({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  });
}

std::optional<nlohmann::json> read_json_file(const std::filesystem::path& path) {
  return read_json(LocalStore(path.parent_path()), path.filename().string());
}

void write_json_file(const std::filesystem::path& path, const nlohmann::json& document) {
  const std::string text = json_text(document);
  write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace cellmill
