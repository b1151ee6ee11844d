#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "anndata/views/tenx.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

constexpr std::int64_t names_at_once = 65'536;

/// The groups of a file before version 3.
std::vector<std::string> genomes_of(const Group& root) {
  std::vector<std::string> genomes;
  for (const std::string& name : root.keys()) {
    const auto has = [&](const char* member) {
      return root.kind(name + '/' + member) == NodeKind::array;
    };
    if (has("barcodes") && has("genes") && has("gene_names")) genomes.push_back(name);
  }
  return genomes;
}

bool is_version_3(const Group& root) {
  return root.kind("matrix/barcodes") == NodeKind::array &&
         root.kind("matrix/features") == NodeKind::group;
}

/// An array as a column or an index.
Node vector_node(const Element& group, const std::string& name) {
  const Element element = group.child(name);
  const ArrayInfo info = element.array()->info();  // says so if there is none
  return element_node(element,
                      encoding(info.dtype == DType::string ? "string-array" : "array", "0.2.0"));
}

/// `shape` counts genes, then cells.
Node matrix_node(const Element& group) {
  const std::unique_ptr<Array> stored = group.child("shape").array();
  const std::vector<std::int64_t> shape = read_all<std::int64_t>(*stored);
  if (shape.size() != 2) {
    throw input_error(fmt::format("{}: {} numbers found, expected genes and cells",
                                  stored->info().location, shape.size()));
  }
  json attributes = encoding("csr_matrix", "0.1.0");
  attributes["shape"] = {shape[1], shape[0]};
  NodeMap arrays;
  for (const char* name : {"data", "indices", "indptr"}) {
    arrays.emplace(name, element_node(group.child(name)));
  }
  return group_node(std::move(attributes), std::move(arrays));
}

Node anndata_node(Node x, Node obs, Node var) {
  return group_node(encoding("anndata", "0.1.0"),
                    {{"X", std::move(x)}, {"obs", std::move(obs)}, {"var", std::move(var)}});
}

Node version_2(const Element& group) {
  return anndata_node(matrix_node(group), frame_node("_index", vector_node(group, "barcodes"), {}),
                      frame_node("_index", vector_node(group, "gene_names"),
                                 {{"gene_ids", vector_node(group, "genes")}}));
}

/// Features of a plain matrix have an `id`, the gene's; probes have one too, and a `gene_id`.
Columns feature_columns(const Element& features) {
  Columns columns;
  const bool probes = features.has("gene_id");
  columns.emplace_back("gene_ids", vector_node(features, probes ? "gene_id" : "id"));
  if (probes) columns.emplace_back("probe_ids", vector_node(features, "id"));
  columns.emplace_back("feature_types", vector_node(features, "feature_type"));
  const std::vector<std::int64_t> shape = features.child("name").array()->info().shape;
  const std::set<std::string> taken{"name", "id", "gene_id", "feature_type", "_all_tag_keys"};
  for (const std::string& name : features.keys()) {
    const Element more = features.child(name);
    if (taken.contains(name) || more.kind() != NodeKind::array) continue;
    if (more.array()->info().shape == shape)
      columns.emplace_back(name, vector_node(features, name));
  }
  return columns;
}

Node version_3(const Element& matrix) {
  const Element features = matrix.child("features");
  Columns cells;
  if (matrix.has("filtered_barcodes")) {
    cells.emplace_back("filtered_barcodes", vector_node(matrix, "filtered_barcodes"));
  }
  return anndata_node(
      matrix_node(matrix), frame_node("_index", vector_node(matrix, "barcodes"), cells),
      frame_node("_index", vector_node(features, "name"), feature_columns(features)));
}

/// The features of all genomes are in one matrix: naming the only genome there is does no harm.
void expect_only_genome(const Element& matrix, const std::string& genome) {
  std::set<std::string> found;
  const Element column = matrix.child("features/genome");
  if (column.kind() == NodeKind::array) {
    const std::unique_ptr<Array> genomes = column.array();
    const std::int64_t count = element_count(genomes->info());
    for (std::int64_t row = 0; row < count; row += names_at_once) {
      const Strings names = genomes->read_strings({row, std::min(row + names_at_once, count)});
      for (std::int64_t i = 0; i < names.size(); ++i) found.emplace(names[i]);
    }
  }
  if (found == std::set<std::string>{genome}) return;
  throw input_error(
      fmt::format("{}: genome '{}' asked for, the features are of: {}; files of this version are "
                  "read whole, with a column 'genome' in var: leave '::{}' out",
                  matrix.root->location(), genome, fmt::join(found, ", "), genome));
}

std::string choose_genome(const Group& root, const std::string& wanted) {
  const std::vector<std::string> genomes = genomes_of(root);
  if (wanted.empty() && genomes.size() == 1) return genomes.front();
  if (std::ranges::find(genomes, wanted) != genomes.end()) return wanted;
  const std::string& file = root.location();
  const std::string found =
      wanted.empty() ? "several genomes" : fmt::format("no genome '{}'", wanted);
  throw input_error(fmt::format("{}: has {}; choose one of {} by its path: {}::{}", file, found,
                                fmt::join(genomes, ", "), file, genomes.front()));
}

}  // namespace

bool is_tenx_h5(const Group& root) {
  if (root.format() != StoreFormat::hdf5 || root.kind("obs") != NodeKind::none) return false;
  return is_version_3(root) || !genomes_of(root).empty();
}

Node tenx_h5(const std::shared_ptr<const Group>& store, const std::string& genome) {
  const Element root{store, ""};
  if (!is_version_3(*store)) return version_2(root.child(choose_genome(*store, genome)));
  if (!genome.empty()) expect_only_genome(root.child("matrix"), genome);
  return version_3(root.child("matrix"));
}

}  // namespace cellmill
