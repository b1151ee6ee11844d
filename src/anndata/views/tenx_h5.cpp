#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "anndata/views/tenx.hpp"
#include "anndata/views/tenx_genome.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

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

/// The features of a matrix, all or those of one genome.
class Features {
 public:
  /// \param genome null: all of them
  Features(Element group, const TenxGenome* genome) : group_(std::move(group)), genome_(genome) {}

  [[nodiscard]] Node vector(const std::string& name) const {
    const Node whole = vector_node(group_, name);
    return genome_ == nullptr ? whole : genome_->chosen(group_.child(name), whole->attributes());
  }

  /// Those of a plain matrix have an `id`, the gene's; probes have one too, and a `gene_id`.
  [[nodiscard]] Columns columns() const {
    Columns columns;
    const bool probes = group_.has("gene_id");
    columns.emplace_back("gene_ids", vector(probes ? "gene_id" : "id"));
    if (probes) columns.emplace_back("probe_ids", vector("id"));
    columns.emplace_back("feature_types", vector("feature_type"));
    const std::vector<std::int64_t> shape = group_.child("name").array()->info().shape;
    const std::set<std::string> taken{"name", "id", "gene_id", "feature_type", "_all_tag_keys"};
    for (const std::string& name : group_.keys()) {
      const Element more = group_.child(name);
      if (taken.contains(name) || more.kind() != NodeKind::array) continue;
      if (more.array()->info().shape == shape) columns.emplace_back(name, vector(name));
    }
    return columns;
  }

 private:
  Element group_;
  const TenxGenome* genome_;
};

/// The features of all genomes are in one matrix.
Node version_3(const Element& matrix, const TenxGenome* genome) {
  const Features features(matrix.child("features"), genome);
  Columns cells;
  if (matrix.has("filtered_barcodes")) {
    cells.emplace_back("filtered_barcodes", vector_node(matrix, "filtered_barcodes"));
  }
  const Node counts = matrix_node(matrix);
  return anndata_node(genome == nullptr ? counts : genome->chosen_counts(counts),
                      frame_node("_index", vector_node(matrix, "barcodes"), cells),
                      frame_node("_index", features.vector("name"), features.columns()));
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
  const Element matrix = root.child("matrix");
  if (genome.empty()) return version_3(matrix, nullptr);
  const TenxGenome chosen(matrix, genome);
  return version_3(matrix, chosen.is_only() ? nullptr : &chosen);
}

}  // namespace cellmill
