#include <fmt/format.h>

#include <array>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "anndata/views/mtx_to_csr.hpp"
#include "anndata/views/tenx.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/line_reader.hpp"

namespace cellmill {

namespace fs = std::filesystem;

namespace {

constexpr const char* matrix_name = "matrix.mtx";

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

/// `folder/name` or `folder/name.gz`.
std::optional<fs::path> find_file(const fs::path& folder, const std::string& name) {
  for (const char* suffix : {"", ".gz"}) {
    if (fs::path path = folder / (name + suffix); is_file(path)) return path;
  }
  return std::nullopt;
}

struct TenxFiles {
  std::string name;  ///< for messages: the folder's, or the matrix's
  fs::path matrix;
  fs::path barcodes;
  fs::path features;
};

/// What comes before `matrix.mtx` in a file's name; nothing if it has another name.
std::optional<std::string> matrix_prefix(const fs::path& path) {
  std::string name = path.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  if (!name.ends_with(matrix_name)) return std::nullopt;
  return name.substr(0, name.size() - std::string(matrix_name).size());
}

std::optional<fs::path> find_matrix(const fs::path& path) {
  if (is_file(path)) return matrix_prefix(path) ? std::optional(path) : std::nullopt;
  return find_file(path, matrix_name);
}

TenxFiles find_files(const fs::path& path) {
  TenxFiles files;
  files.name = (path.has_filename() ? path : path.parent_path()).filename().string();
  files.matrix = find_matrix(path).value();
  const fs::path folder = files.matrix.parent_path();
  const std::string prefix = matrix_prefix(files.matrix).value();
  const auto find = [&](std::initializer_list<const char*> names) {
    for (const char* name : names) {
      if (const auto found = find_file(folder, prefix + name)) return *found;
    }
    throw not_found_error(fmt::format("{}: there is no {}{}[.gz] beside {}", files.name, prefix,
                                      *names.begin(), files.matrix.filename().string()));
  };
  files.barcodes = find({"barcodes.tsv"});
  files.features = find({"features.tsv", "genes.tsv"});
  return files;
}

/// The first columns of a table without a heading, as strings in scratch.
struct Table {
  std::int64_t rows = 0;
  std::vector<std::shared_ptr<const ScratchBlocks>> columns;
};

std::vector<std::string_view> split_tabs(std::string_view line, std::size_t most) {
  std::vector<std::string_view> fields;
  while (fields.size() < most) {
    const std::size_t tab = line.find('\t');
    fields.push_back(line.substr(0, tab));
    if (tab == line.npos) break;
    line.remove_prefix(tab + 1);
  }
  return fields;
}

/// As many columns as the first line has, up to `names`.
Table read_table(const fs::path& path, const std::string& location,
                 const std::vector<std::string>& names, const std::shared_ptr<ScratchFile>& file) {
  LineReader lines(path);
  std::vector<ScratchStringsWriter> writers;
  while (const auto line = lines.next()) {
    if (line->empty()) continue;
    const std::vector<std::string_view> fields = split_tabs(*line, names.size());
    if (writers.empty()) {
      for (std::size_t i = 0; i < fields.size(); ++i) {
        writers.emplace_back(file, location + names[i]);
      }
    }
    if (fields.size() < writers.size()) {
      throw input_error(fmt::format("{}: {} columns found, expected {}, as in the first line",
                                    lines.location(), fields.size(), writers.size()));
    }
    for (std::size_t i = 0; i < writers.size(); ++i) writers[i].append(fields[i]);
  }
  if (writers.empty()) writers.emplace_back(file, location + names.front());
  Table table{writers.front().size(), {}};
  for (ScratchStringsWriter& writer : writers) table.columns.push_back(writer.finish());
  return table;
}

Node scratch_node(nlohmann::json attributes, const std::shared_ptr<const ScratchBlocks>& blocks) {
  return array_node(std::move(attributes), [blocks] { return open_scratch_array(blocks); });
}

Node names_node(const std::shared_ptr<const ScratchBlocks>& blocks) {
  return scratch_node(encoding("string-array", "0.2.0"), blocks);
}

Node matrix_node(const ScratchCsr& csr) {
  nlohmann::json attributes = encoding("csr_matrix", "0.1.0");
  attributes["shape"] = {csr.n_rows, csr.n_cols};
  const auto plain = nlohmann::json::object();
  return group_node(std::move(attributes), {{"data", scratch_node(plain, csr.data)},
                                            {"indices", scratch_node(plain, csr.indices)},
                                            {"indptr", scratch_node(plain, csr.indptr)}});
}

}  // namespace

bool is_tenx_mtx(const fs::path& path) { return find_matrix(path).has_value(); }

Node tenx_mtx(const fs::path& path) {
  const TenxFiles files = find_files(path);
  const auto names = scratch_for(files.matrix, {}, 0);
  const Table cells = read_table(files.barcodes, files.name + ": obs/", {"_index"}, names);
  const Table features = read_table(files.features, files.name + ": var/",
                                    {"gene_ids", "_index", "feature_types"}, names);
  const ScratchCsr csr = mtx_to_csr(files.matrix, files.name + ": X", cells.rows);
  if (csr.n_cols != features.rows) {
    throw input_error(fmt::format("{}: {} rows found, expected {}, as many as {} has",
                                  name_with_folder(files.matrix), grouped(csr.n_cols),
                                  grouped(features.rows), files.features.filename().string()));
  }
  const bool named = features.columns.size() > 1;
  Columns columns{{"gene_ids", names_node(features.columns[0])}};
  if (features.columns.size() > 2) {
    columns.emplace_back("feature_types", names_node(features.columns[2]));
  }
  return group_node(
      encoding("anndata", "0.1.0"),
      {{"X", matrix_node(csr)},
       {"obs", frame_node("_index", names_node(cells.columns[0]), {})},
       {"var", frame_node("_index", names_node(features.columns[named ? 1 : 0]), columns)}});
}

}  // namespace cellmill
