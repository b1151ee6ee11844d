#include "cellmill/anndata/paths.hpp"

#include <fmt/format.h>
#include <glob.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <system_error>
#include <utility>

#include "anndata/views/tenx.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {
namespace fs = std::filesystem;
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The run of digits at `at`, without its leading zeros.
std::string_view digits_at(std::string_view text, std::size_t at, std::size_t& end) {
  end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  while (at + 1 < end && text[at] == '0') ++at;
  return text.substr(at, end - at);
}

constexpr std::string_view zipped_store = ".zarr.zip";

bool is_zarr_store(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "zarr.json", ignored) || fs::exists(path / ".zgroup", ignored) ||
         fs::exists(path / ".zattrs", ignored) || fs::exists(path / ".zmetadata", ignored);
}

bool is_zip_archive(const fs::path& path) { return path.native().ends_with(zipped_store); }

bool is_plate_file(const fs::path& path) {
  return path.extension() == ".h5ad" || is_zip_archive(path);
}

/// Whether a Zarr store is annbatch's: a group of many AnnData.
bool is_collection(const fs::path& path) {
  try {
    return open_zarr(path)->attributes().value("encoding-type", nlohmann::json()) ==
           "annbatch-preshuffled";
  } catch (const Error&) {
    return false;  // whoever opens it says what is wrong
  }
}

bool natural_path_less(const fs::path& a, const fs::path& b) {
  return natural_less(a.native(), b.native());
}

void append_collection(const fs::path& collection, std::vector<fs::path>& paths) {
  std::vector<fs::path> plates;
  const auto root = open_zarr(collection);
  for (const std::string& name : root->keys()) {
    if (root->kind(name) == NodeKind::group) plates.push_back(collection / name);
  }
  if (plates.empty()) {
    throw input_error(fmt::format("{}: the collection holds no data sets", collection.string()));
  }
  if (!fs::is_directory(collection)) {
    throw input_error(fmt::format(
        "{}: a collection of {} data sets in a zip archive can't be taken apart; unpack it first",
        collection.string(), plates.size()));
  }
  std::sort(plates.begin(), plates.end(), natural_path_less);
  paths.insert(paths.end(), plates.begin(), plates.end());
}

std::vector<fs::path> plates_in_folder(const fs::path& folder) {
  std::vector<fs::path> plates;
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    const fs::path& path = entry->path();
    if (path.filename().native().starts_with('.')) continue;
    const bool plate = entry->is_directory() ? is_zarr_store(path) : is_plate_file(path);
    if (plate) plates.push_back(path);
  }
  if (failed) throw io_error(fmt::format("{}: {}", folder.string(), failed.message()));
  if (plates.empty()) {
    throw input_error(fmt::format(
        "{}: the folder holds no plates; expected .h5ad files or Zarr stores", folder.string()));
  }
  std::sort(plates.begin(), plates.end(), natural_path_less);
  return plates;
}

std::vector<fs::path> matches(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
  std::vector<fs::path> paths(found.gl_pathv, found.gl_pathv + (status == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  if (paths.empty()) throw not_found_error(fmt::format("{}: no file matches", pattern));
  std::sort(paths.begin(), paths.end(), natural_path_less);
  return paths;
}

/// `paths` gets the AnnData of one path that is no glob.
void append_path(const fs::path& path, std::vector<fs::path>& paths) {
  std::error_code failed;
  const fs::file_status status = fs::status(split_genome(path).file, failed);
  if (status.type() == fs::file_type::not_found) {
    throw not_found_error(fmt::format("{}: no such file or folder", path.string()));
  }
  if (failed) throw io_error(fmt::format("{}: {}", path.string(), failed.message()));
  if (fs::is_directory(status) && !is_zarr_store(path) && !is_tenx_mtx(path)) {
    for (const fs::path& plate : plates_in_folder(path)) append_path(plate, paths);
  } else {
    // `plate1.zarr/` without its slash, so that every path has a file name.
    const fs::path plate = path.has_filename() ? path : path.parent_path();
    const bool zarr = fs::is_directory(status) || is_zip_archive(plate);
    if (zarr && is_collection(plate)) return append_collection(plate, paths);
    paths.push_back(plate);
  }
}

void append_path_or_glob(const fs::path& argument, std::vector<fs::path>& paths) {
  std::error_code ignored;
  const auto [file, genome] = split_genome(argument);
  // A name may contain [ or *: what exists is taken by its name.
  const bool glob = file.native().find_first_of("*?[") != std::string::npos;
  if (!glob || fs::exists(file, ignored)) return append_path(argument, paths);
  for (const fs::path& path : matches(file.native())) {
    append_path(genome.empty() ? path : fs::path(path.native() + "::" + genome), paths);
  }
}

std::string_view trimmed(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return {};
  return line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

void append_list(const fs::path& list, std::vector<fs::path>& paths) {
  std::ifstream file(list);
  if (!file || fs::is_directory(list)) {
    throw not_found_error(fmt::format("{}: no such list of plates", list.string()));
  }
  const std::size_t before = paths.size();
  for (std::string line; std::getline(file, line);) {
    const std::string_view entry = trimmed(line);
    if (entry.empty() || entry.starts_with('#')) continue;
    with_context(list.string(),
                 [&] { append_path_or_glob(list.parent_path() / fs::path(entry), paths); });
  }
  if (paths.size() == before) {
    throw input_error(
        fmt::format("{}: the list names no plates; expected one path a line", list.string()));
  }
}

void refuse_repeated(const std::vector<fs::path>& paths) {
  std::set<std::pair<fs::path, std::string>> seen;
  for (const fs::path& path : paths) {
    const auto [file, genome] = split_genome(path);
    if (!seen.emplace(fs::canonical(file), genome).second) {
      throw input_error(fmt::format("{}: the plate is named twice", path.string()));
    }
  }
}

}  // namespace

bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const std::string_view x = digits_at(a, i, i);
      const std::string_view y = digits_at(b, j, j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
    } else {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i;
      ++j;
    }
  }
  if (i < a.size() || j < b.size()) return j < b.size();
  return a < b;  // equal but for leading zeros: plate01 before plate1
}

std::vector<fs::path> expand_paths(std::span<const std::string> arguments) {
  std::vector<fs::path> paths;
  for (const std::string& argument : arguments) {
    if (argument.starts_with('@')) {
      append_list(argument.substr(1), paths);
    } else {
      append_path_or_glob(argument, paths);
    }
  }
  refuse_repeated(paths);
  return paths;
}

PlatePath split_genome(const fs::path& path) {
  const std::string& text = path.native();
  const std::size_t colons = text.rfind("::");
  std::error_code ignored;
  if (colons == std::string::npos || fs::exists(path, ignored)) return {path, ""};
  return {text.substr(0, colons), text.substr(colons + 2)};
}

std::string plate_label(const fs::path& path) {
  const auto [file, genome] = split_genome(path);
  fs::path name = file.has_filename() ? file.filename() : file.parent_path().filename();
  if (is_zip_archive(name) || name.native().ends_with(".mtx.gz")) name = name.stem();
  const fs::path extension = name.extension();
  const bool known =
      extension == ".h5ad" || extension == ".zarr" || extension == ".h5" || extension == ".mtx";
  const std::string label = known ? name.stem().string() : name.string();
  return genome.empty() ? label : label + "-" + genome;
}

}  // namespace cellmill
