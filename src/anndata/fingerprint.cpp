#include "cellmill/anndata/fingerprint.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <system_error>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// Of a file its size; of a store its documents' ages would change with every look at some file
/// systems, so a folder has only its own.
json age_of(const fs::path& path) {
  std::error_code error;
  const PlatePath plate = split_genome(path);
  const auto time = fs::last_write_time(plate.file, error);
  json age = {{"modified", error ? 0 : time.time_since_epoch().count()}};
  if (fs::is_regular_file(plate.file, error)) age["bytes"] = fs::file_size(plate.file, error);
  return age;
}

}  // namespace

std::string json_line(const json& document) {
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

void add_input(json& fingerprint, const AnnData& data) {
  json input = age_of(data.path());
  input["cells"] = data.n_obs();
  input["genes"] = data.n_vars();
  std::error_code error;
  const fs::path whole = fs::absolute(data.path(), error);
  fingerprint["input " + (error ? data.path() : whole).string()] = input;
}

std::string fingerprint_difference(const std::string& found_line, const std::string& now_line) {
  if (found_line == now_line) return {};
  const json found = json::parse(found_line, nullptr, false);
  const json now = json::parse(now_line);
  if (!found.is_object()) return "its fingerprint is damaged";
  const auto text = [](const json& in, const std::string& key) {
    return in.contains(key) ? json_line(in.at(key)) : std::string("nothing");
  };
  json all = found;
  all.update(now);
  for (const auto& [key, value] : all.items()) {
    if (text(found, key) == text(now, key)) continue;
    return fmt::format("{}: found {}, now {}", key, text(found, key), text(now, key));
  }
  return {};
}

bool is_finished(const fs::path& output, const std::string& fingerprint) {
  std::error_code ignored;
  if (!fs::exists(output, ignored)) return false;
  try {
    const auto uns = open_store(output)->group("uns/cellmill");
    return uns->array("fingerprint")->read_strings({0, 1})[0] == fingerprint;
  } catch (const Error&) {
    return false;  // something else
  }
}

}  // namespace cellmill
