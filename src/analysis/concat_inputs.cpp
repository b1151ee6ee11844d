#include "analysis/concat_inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Names of the plates. \throws Error if there are not as many as plates, or two are alike where
/// they are needed to tell plates apart
std::vector<std::string> plate_names(const ConcatOptions& options) {
  std::vector<std::string> names = options.keys;
  if (names.empty()) {
    for (const auto& path : options.plates) names.push_back(plate_label(path));
  }
  if (names.size() != options.plates.size()) {
    throw usage_error(fmt::format("--keys: {} names given, expected {}, one a plate", names.size(),
                                  options.plates.size()));
  }
  if (options.label.empty() && options.index_unique.empty()) return names;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) continue;
    throw input_error(fmt::format(
        "two plates are named {}; names must differ, because obs tells plates by them: give others "
        "with --keys",
        name));
  }
  return names;
}

/// The genes of the output, as places in `joined.names`: of an outer join in the order of their
/// names unless all sources have the same list, as pandas' union has it.
std::vector<std::int32_t> output_genes(const JoinedGenes& joined, GeneJoin join) {
  std::vector<std::int32_t> genes = kept_genes(joined, join);
  const auto whole = [&](const std::vector<std::int32_t>& place) {
    return place.empty() ||
           (place.size() == genes.size() && std::is_sorted(place.begin(), place.end()));
  };
  if (join == GeneJoin::outer && !std::all_of(joined.place.begin(), joined.place.end(), whole)) {
    std::sort(genes.begin(), genes.end(), [&](std::int32_t a, std::int32_t b) {
      return joined.names[static_cast<std::size_t>(a)] < joined.names[static_cast<std::size_t>(b)];
    });
  }
  return genes;
}

GeneAxis gene_axis(const JoinedGenes& joined, const std::vector<std::int32_t>& genes,
                   const std::vector<const DataFrame*>& vars,
                   const std::optional<std::string>& gene_key) {
  GeneAxis axis;
  for (const std::int32_t gene : genes) {
    axis.names.push_back(joined.names[static_cast<std::size_t>(gene)]);
  }
  if (!gene_key) axis.index_name = common_index_name(vars);
  return axis;
}

std::shared_ptr<const JoinedColumns> gene_columns(const JoinedGenes& joined,
                                                  const std::vector<std::int32_t>& genes) {
  return std::make_shared<JoinedColumns>(
      JoinedColumns{static_cast<std::int32_t>(genes.size()), gene_slots(joined, genes)});
}

/// Columns by position: as many as all parts have (inner) or as the widest has (outer).
std::shared_ptr<const JoinedColumns> columns_by_position(const std::vector<MatrixPart>& parts,
                                                         GeneJoin join) {
  std::vector<std::int64_t> widths;
  for (const MatrixPart& part : parts) {
    if (!part.is_missing()) widths.push_back(part.n_cols());
  }
  const auto [least, most] = std::minmax_element(widths.begin(), widths.end());
  auto columns = std::make_shared<JoinedColumns>();
  columns->count = static_cast<std::int32_t>(join == GeneJoin::inner ? *least : *most);
  for (const MatrixPart& part : parts) {
    const auto n_cols = static_cast<std::size_t>(part.is_missing() ? 0 : part.n_cols());
    std::vector<std::int32_t> slot(n_cols, -1);
    std::iota(slot.begin(),
              slot.begin() +
                  std::min<std::int64_t>(columns->count, static_cast<std::int64_t>(slot.size())),
              0);
    columns->slot.push_back(std::move(slot));
  }
  return columns;
}

void expect_size(const std::string& location, std::int64_t found, std::int64_t expected,
                 const char* what) {
  if (found == expected) return;
  throw input_error(fmt::format("{}: {} {} found, expected {}", location, grouped(found), what,
                                grouped(expected)));
}

enum class ElementKind { none, matrix, table, other };

ElementKind kind_of(const Group& root, const std::string& name) {
  switch (root.kind(name)) {
    case NodeKind::none:
      return ElementKind::none;
    case NodeKind::array: {
      const ArrayInfo info = root.array(name)->info();
      const bool numbers = info.fields.empty() && info.dtype != DType::string;
      return numbers && info.shape.size() == 2 ? ElementKind::matrix : ElementKind::other;
    }
    case NodeKind::group:
      break;
  }
  const std::string encoding = root.attributes(name).value("encoding-type", "");
  if (encoding == "csr_matrix" || encoding == "csc_matrix") return ElementKind::matrix;
  return encoding == "dataframe" ? ElementKind::table : ElementKind::other;
}

/// \param n_cols expected; none: any
MatrixPart open_part(const AnnData& data, const std::string& name,
                     std::optional<std::int64_t> n_cols) {
  MatrixPart part;
  std::string location;
  if (data.root().kind(name) == NodeKind::array) {
    part.dense = data.root().array(name);
    location = part.dense->info().location;
    expect_size(location, part.dense->info().shape[0], data.n_obs(), "rows");
  } else {
    part.sparse = open_matrix(data.root(), name);
    location = part.sparse->location();
    expect_size(location, part.sparse->n_rows(), data.n_obs(), "rows");
  }
  if (n_cols) expect_size(location, part.n_cols(), *n_cols, "columns");
  return part;
}

/// Whether an array's rows have cells that no source fills.
bool has_gaps(const JoinedMatrix& matrix, const std::vector<std::int64_t>& rows) {
  for (std::size_t p = 0; p < matrix.parts.size(); ++p) {
    if (rows[p] == 0) continue;
    const auto& slot = matrix.columns->slot[p];
    const auto filled = std::count_if(slot.begin(), slot.end(), [](auto to) { return to >= 0; });
    if (matrix.parts[p].is_missing() || filled < matrix.columns->count) return true;
  }
  return false;
}

void settle_type(JoinedMatrix& matrix, const std::vector<std::int64_t>& rows) {
  std::optional<DType> dtype;
  for (const MatrixPart& part : matrix.parts) {
    if (part.is_missing()) continue;
    matrix.sparse = matrix.sparse || part.sparse != nullptr;
    dtype = dtype ? promoted(*dtype, part.dtype()) : part.dtype();
  }
  matrix.dtype = *dtype;
  // NaN, the value of what is missing in an array, needs a float.
  if (!matrix.sparse && !is_float(matrix.dtype) && has_gaps(matrix, rows)) {
    matrix.dtype = DType::float64;
  }
}

/// Joins the elements of all plates, one after the other.
class Joiner {
 public:
  Joiner(ConcatInputs& inputs, const ConcatOptions& options)
      : inputs_(inputs), options_(options), rows_(inputs.rows()) {}

  void join_all() {
    join_genes_and_x();
    for (const std::string& name : members("layers")) join_matrix(name, gene_columns_, &n_vars_);
    for (const std::string& name : members("obsm")) join_obsm(name);
    join_raw();
  }

 private:
  /// Paths of what any plate has in this group.
  [[nodiscard]] std::set<std::string> members(const std::string& group) const {
    std::set<std::string> names;
    for (const auto& plate : inputs_.plates) {
      if (plate->root().kind(group) != NodeKind::group) continue;
      for (const std::string& key : plate->root().group(group)->keys()) {
        names.insert(fmt::format("{}/{}", group, key));
      }
    }
    return names;
  }

  void leave_out(const std::string& name, const std::string& why) {
    inputs_.left_out.push_back(fmt::format("{}: {}", name, why));
  }

  void join_genes_and_x() {
    std::vector<const AnnData*> sources;
    std::vector<const DataFrame*> vars;
    for (const auto& plate : inputs_.plates) {
      sources.push_back(plate.get());
      vars.push_back(&plate->var());
      n_vars_.push_back(plate->n_vars());
      // An X that is there but can't be read is not left out: it is what this is about.
      if (plate->root().kind("X") != NodeKind::none) (void)plate->x();
    }
    const JoinedGenes joined = join_genes(sources, options_.gene_key);
    if (!joined.warning.empty()) inputs_.warnings.push_back(joined.warning);
    check_join(joined, sources, options_.join);
    const std::vector<std::int32_t> genes = output_genes(joined, options_.join);
    inputs_.var = gene_axis(joined, genes, vars, options_.gene_key);
    gene_columns_ = gene_columns(joined, genes);
    join_matrix("X", gene_columns_, &n_vars_);
  }

  /// Whether the plates that have the element have it of one of these kinds, and enough of them do.
  [[nodiscard]] bool is_joined(const std::string& name, const std::vector<ElementKind>& kinds) {
    const auto absent = std::count(kinds.begin(), kinds.end(), ElementKind::none);
    if (absent == static_cast<std::int64_t>(kinds.size())) return false;
    for (std::size_t p = 0; p < kinds.size(); ++p) {
      if (kinds[p] != ElementKind::other) continue;
      leave_out(name,
                fmt::format("in {} it is neither a matrix nor a table", inputs_.plates[p]->name()));
      return false;
    }
    if (absent > 0 && options_.join == GeneJoin::inner) {
      const auto at = std::find(kinds.begin(), kinds.end(), ElementKind::none) - kinds.begin();
      leave_out(name,
                fmt::format("{} has none", inputs_.plates[static_cast<std::size_t>(at)]->name()));
      return false;
    }
    return true;
  }

  [[nodiscard]] std::vector<ElementKind> kinds_of(const std::string& name) const {
    std::vector<ElementKind> kinds;
    for (const auto& plate : inputs_.plates) kinds.push_back(kind_of(plate->root(), name));
    return kinds;
  }

  /// \param columns null: by position; \param widths the parts must have \returns whether it joins
  bool join_matrix(const std::string& name, std::shared_ptr<const JoinedColumns> columns,
                   const std::vector<std::int64_t>* widths) {
    const std::vector<ElementKind> kinds = kinds_of(name);
    if (!is_joined(name, kinds)) return false;
    JoinedMatrix matrix;
    matrix.name = name;
    for (std::size_t p = 0; p < kinds.size(); ++p) {
      matrix.parts.emplace_back();
      if (kinds[p] == ElementKind::none) continue;
      matrix.parts.back() = open_part(
          *inputs_.plates[p], name, widths == nullptr ? std::nullopt : std::optional((*widths)[p]));
    }
    matrix.columns =
        columns ? std::move(columns) : columns_by_position(matrix.parts, options_.join);
    settle_type(matrix, rows_);
    inputs_.matrices.push_back(std::move(matrix));
    return true;
  }

  void join_obsm(const std::string& name) {
    const std::vector<ElementKind> kinds = kinds_of(name);
    const auto has = [&](ElementKind kind) {
      return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
    };
    if (!has(ElementKind::table)) {
      join_matrix(name, nullptr, nullptr);
      return;
    }
    if (!is_joined(name, kinds)) return;
    if (has(ElementKind::matrix)) {
      return leave_out(name, "it is a table in some plates and a matrix in others");
    }
    JoinedTable table;
    table.name = name;
    for (std::size_t p = 0; p < kinds.size(); ++p) {
      table.frames.emplace_back();
      if (kinds[p] == ElementKind::none) continue;
      const AnnData& plate = *inputs_.plates[p];
      table.frames.back() = std::make_unique<DataFrame>(plate.root().group(name));
      expect_size(table.frames.back()->location(), table.frames.back()->n_rows(), plate.n_obs(),
                  "rows");
    }
    inputs_.tables.push_back(std::move(table));
  }

  /// raw, if all plates have it. It has genes of its own.
  void join_raw() {
    const auto has_raw = [](const auto& plate) {
      return plate->root().kind("raw/X") != NodeKind::none &&
             plate->root().kind("raw/var") == NodeKind::group;
    };
    const auto with = std::count_if(inputs_.plates.begin(), inputs_.plates.end(), has_raw);
    if (with == 0) return;
    if (with < static_cast<std::int64_t>(inputs_.plates.size())) {
      return leave_out("raw", "not all plates have it");
    }
    try {
      std::vector<std::unique_ptr<DataFrame>> frames;
      std::vector<const DataFrame*> vars;
      std::vector<std::int64_t> widths;
      for (const auto& plate : inputs_.plates) {
        frames.push_back(std::make_unique<DataFrame>(plate->root().group("raw/var")));
        vars.push_back(frames.back().get());
        widths.push_back(vars.back()->n_rows());
      }
      const JoinedGenes joined = join_genes(vars, options_.gene_key);
      const std::vector<std::int32_t> genes = output_genes(joined, options_.join);
      if (genes.empty() && joined.n_genes() > 0) return leave_out("raw", "no gene in common");
      if (!join_matrix("raw/X", gene_columns(joined, genes), &widths)) return;
      inputs_.raw_var = gene_axis(joined, genes, vars, options_.gene_key);
    } catch (const Error& error) {
      // The rest does not depend on it; what is damaged in it is `validate`'s to tell.
      leave_out("raw", error.what());
    }
  }

  ConcatInputs& inputs_;
  const ConcatOptions& options_;
  std::vector<std::int64_t> rows_;
  std::vector<std::int64_t> n_vars_;
  std::shared_ptr<const JoinedColumns> gene_columns_;
};

}  // namespace

std::vector<std::int64_t> ConcatInputs::rows() const {
  std::vector<std::int64_t> rows;
  for (const auto& plate : plates) rows.push_back(plate->n_obs());
  return rows;
}

std::string common_index_name(const std::vector<const DataFrame*>& frames) {
  const std::string& name = frames.front()->index_name();
  const bool common = std::all_of(frames.begin(), frames.end(), [&](const DataFrame* frame) {
    return frame->index_name() == name;
  });
  return common ? name : "_index";
}

ConcatInputs open_concat_inputs(const ConcatOptions& options) {
  if (options.plates.empty()) throw usage_error("no plates were given");
  ConcatInputs inputs;
  inputs.keys = plate_names(options);
  for (const auto& path : options.plates) {
    inputs.plates.push_back(AnnData::open(path));
    const DataFrame& obs = inputs.plates.back()->obs();
    if (!options.label.empty() && obs.has(options.label)) {
      inputs.warnings.push_back(fmt::format(
          "{}: the column '{}' is replaced by the plate's name; choose another with --label",
          obs.location(), options.label));
    }
  }
  Joiner(inputs, options).join_all();
  return inputs;
}

}  // namespace cellmill
