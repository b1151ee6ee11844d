#include "analysis/run_uns.hpp"

#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "analysis/run_fingerprint.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/version.hpp"

namespace cellmill {
namespace {

template <class T>
std::vector<T> pick(const std::vector<T>& all, const std::vector<std::int32_t>& places) {
  std::vector<T> some;
  some.reserve(places.size());
  for (const std::int32_t place : places) some.push_back(all[static_cast<std::size_t>(place)]);
  return some;
}

void write_numbers(Group& frame, const std::string& name, DType dtype,
                   std::vector<double> numbers) {
  ColumnRows rows;
  rows.numbers = std::move(numbers);
  write_column(frame, {name, ColumnKind::numeric, dtype, false}, rows);
}

void write_flags(Group& frame, const std::string& name, const std::vector<bool>& flags) {
  ColumnRows rows;
  rows.integers.assign(flags.begin(), flags.end());
  write_column(frame, {name, ColumnKind::boolean, DType::boolean, false}, rows);
}

/// Genes × batches, row-major, of one member of the results.
template <class T, class Member>
std::vector<T> side_by_side(const ChosenGenes& chosen, std::size_t n_genes, Member member) {
  std::vector<T> table;
  table.reserve(n_genes * chosen.of_batch.size());
  for (std::size_t g = 0; g < n_genes; ++g) {
    for (const HvgResult& batch : chosen.of_batch)
      table.push_back(static_cast<T>((batch.*member)[g]));
  }
  return table;
}

/// A table as a dict of columns: what AnnData can hold.
template <class Row, class Value>
nlohmann::json column_of(const std::vector<Row>& rows, Value Row::*member) {
  nlohmann::json column = nlohmann::json::array();
  for (const Row& row : rows) column.push_back(row.*member);
  return column;
}

}  // namespace

void write_kept_genes(Group& root, const RunContext& run, const ChosenGenes& chosen) {
  const auto frame =
      create_dataframe(root, "var",
                       {"highly_variable", "means", "dispersions", "dispersions_norm",
                        "highly_variable_nbatches", "highly_variable_intersection"});
  Strings names;
  for (const std::int32_t gene : chosen.kept)
    names.push_back(run.inputs.genes.names[static_cast<std::size_t>(gene)]);
  write_index(*frame, names);
  write_flags(*frame, "highly_variable", std::vector<bool>(chosen.kept.size(), true));
  write_numbers(*frame, "means", DType::float64, pick(chosen.merged.means, chosen.kept));
  write_numbers(*frame, "dispersions", DType::float64,
                pick(chosen.merged.dispersions, chosen.kept));
  const std::vector<float> norm = pick(chosen.merged.dispersions_norm, chosen.kept);
  write_numbers(*frame, "dispersions_norm", DType::float32, {norm.begin(), norm.end()});
  const std::vector<std::int32_t> batches = pick(chosen.merged.n_batches, chosen.kept);
  ColumnRows rows;
  rows.integers.assign(batches.begin(), batches.end());
  write_column(*frame, {"highly_variable_nbatches", ColumnKind::numeric, DType::int64, false},
               rows);
  std::vector<bool> intersection;
  for (const std::int32_t gene : chosen.kept) {
    intersection.push_back(chosen.merged.intersection[static_cast<std::size_t>(gene)]);
  }
  write_flags(*frame, "highly_variable_intersection", intersection);
}

void write_components(Group& root, const RunContext& /*run*/, const Components& components) {
  const auto k = static_cast<std::int64_t>(components.k);
  const auto varm = root.group("varm");
  write_dense<double>(*varm, "PCs", components.loadings,
                      {static_cast<std::int64_t>(components.loadings.size()) / k, k});
  const auto uns = root.group("uns");
  const auto pca = create_dict(*uns, "pca");
  write_json(*pca, "params", {{"zero_center", true}});
  write_dense<double>(*pca, "variance", components.variance);
  write_dense<double>(*pca, "variance_ratio", components.variance_ratio);
}

void write_hvg(Group& root, const RunContext& run, const ChosenGenes& chosen) {
  const auto uns = root.group("uns");
  write_json(*uns, "hvg", {{"flavor", hvg_flavor_name(run.options.flavor)}});
  const auto group = create_dict(*uns, "hvg_per_plate");
  write_texts(*group, "genes", Strings(run.inputs.genes.names));
  write_texts(*group, "plates", Strings(run.inputs.batches));
  const std::size_t n = run.inputs.genes.names.size();
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(n), run.inputs.n_batches()};
  write_dense<double>(*group, "means", side_by_side<double>(chosen, n, &HvgResult::means), shape);
  write_dense<double>(*group, "dispersions",
                      side_by_side<double>(chosen, n, &HvgResult::dispersions), shape);
  write_dense<float>(*group, "dispersions_norm",
                     side_by_side<float>(chosen, n, &HvgResult::dispersions_norm), shape);
  write_truths(*group, "highly_variable",
               side_by_side<std::uint8_t>(chosen, n, &HvgResult::highly_variable), shape);
}

void write_provenance(Group& root, const RunOptions& options, const std::string& fingerprint,
                      const RunSummary& summary) {
  using Plate = RunSummary::Plate;
  using Timing = RunSummary::Timing;
  using Exchange = RunSummary::Exchange;
  nlohmann::json json = {
      {"version", version()}, {"options", run_options_json(options)}, {"fingerprint", fingerprint}};
  json["options"]["scratch"] = options.scratch;
  for (const auto& plate : options.plates) json["inputs"].push_back(plate.string());
  json["funnel"] = {{"plate", column_of(summary.plates, &Plate::name)},
                    {"cells_read", column_of(summary.plates, &Plate::cells_read)},
                    {"cells_kept", column_of(summary.plates, &Plate::cells_kept)},
                    {"genes_with_counts", column_of(summary.plates, &Plate::genes_with_counts)},
                    {"genes_chosen", column_of(summary.plates, &Plate::genes_chosen)},
                    {"genes_kept", summary.n_genes}};
  json["timeline"] = {{"rank", column_of(summary.timeline, &Timing::rank)},
                      {"pass", column_of(summary.timeline, &Timing::pass)},
                      {"seconds", column_of(summary.timeline, &Timing::seconds)},
                      {"reading", column_of(summary.timeline, &Timing::reading)},
                      {"decoding", column_of(summary.timeline, &Timing::decoding)},
                      {"computing", column_of(summary.timeline, &Timing::computing)},
                      {"waiting", column_of(summary.timeline, &Timing::waiting)},
                      {"writing", column_of(summary.timeline, &Timing::writing)},
                      {"communicating", column_of(summary.timeline, &Timing::communicating)},
                      {"bytes", column_of(summary.timeline, &Timing::bytes)},
                      {"cells", column_of(summary.timeline, &Timing::cells)}};
  if (!summary.exchanges.empty()) {
    json["exchanges"] = {{"rank", column_of(summary.exchanges, &Exchange::rank)},
                         {"what", column_of(summary.exchanges, &Exchange::what)},
                         {"bytes", column_of(summary.exchanges, &Exchange::bytes)},
                         {"waiting", column_of(summary.exchanges, &Exchange::waiting)},
                         {"moving", column_of(summary.exchanges, &Exchange::moving)}};
  }
  json["memory"] = {{"peak_bytes", summary.peak_memory}};
  write_json(*root.group("uns"), "cellmill", json);
}

}  // namespace cellmill
