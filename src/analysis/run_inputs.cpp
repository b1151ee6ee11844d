#include "analysis/run_inputs.hpp"

#include <fmt/format.h>

#include <set>
#include <unordered_map>
#include <utility>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"

namespace cellmill {
namespace {

/// Levels of the batch key over all plates, by name, in order of first appearance.
void match_batches(RunInputs& inputs, const std::string& key) {
  std::unordered_map<std::string, std::int32_t> places;
  for (Plate& plate : inputs.plates) {
    const DataFrame& obs = plate.data->obs();
    if (obs.column(key).kind != ColumnKind::categorical) {
      throw input_error(
          fmt::format("{}: --batch-key {}: a categorical column is expected, this one is {}",
                      obs.location(), key, dtype_name(obs.column(key).dtype)));
    }
    const Strings levels = obs.levels(key);
    for (std::int64_t i = 0; i < levels.size(); ++i) {
      const auto next = static_cast<std::int32_t>(inputs.batches.size());
      const auto [at, added] = places.emplace(std::string(levels[i]), next);
      if (added) inputs.batches.emplace_back(levels[i]);
      plate.batch_level.push_back(at->second);
    }
  }
}

}  // namespace

RunInputs open_inputs(const RunOptions& options, int rank) {
  if (options.plates.empty()) throw usage_error("no plates were given");
  RunInputs inputs;
  if (options.filter) inputs.filter.emplace(*options.filter);
  std::set<std::string> names;
  std::vector<const AnnData*> sources;
  for (const auto& path : options.plates) {
    Plate plate;
    plate.data = AnnData::open(path);
    plate.name = plate_label(path);
    if (!names.insert(plate.name).second) {
      throw input_error(fmt::format(
          "two plates are named {}: the file names must differ, because obs['{}'] holds them",
          plate.name, options.label));
    }
    (void)plate.data->x();  // says so if there is none
    if (inputs.filter) inputs.filter->check(plate.data->obs());
    if (rank == 0 && plate.data->obs().has(options.label)) {
      log_warning(fmt::format(
          "{}: the column '{}' is replaced by the plate's name; choose another with --label",
          plate.data->obs().location(), options.label));
    }
    sources.push_back(plate.data.get());
    inputs.plates.push_back(std::move(plate));
  }

  inputs.genes = join_genes(sources, options.gene_key);
  for (std::size_t p = 0; p < inputs.plates.size(); ++p) {
    inputs.plates[p].gene = inputs.genes.place[p];
  }
  if (rank == 0 && !inputs.genes.warning.empty()) log_warning(inputs.genes.warning);
  check_join(inputs.genes, sources, options.join);
  if (options.batch_key) {
    match_batches(inputs, *options.batch_key);
  } else {
    for (const Plate& plate : inputs.plates) inputs.batches.push_back(plate.name);
  }
  return inputs;
}

std::vector<bool> kept_rows(const RunInputs& inputs, const Plate& plate, Range rows,
                            const RunOptions& options) {
  const DataFrame& obs = plate.data->obs();
  std::vector<bool> keep = inputs.filter
                               ? inputs.filter->evaluate(obs, rows)
                               : std::vector<bool>(static_cast<std::size_t>(rows.size()), true);
  if (options.batch_key) {
    // A cell of no batch can neither be normalised by its batch's median nor be counted in it.
    const std::vector<std::int32_t> codes = obs.read(*options.batch_key, rows).codes;
    for (std::size_t i = 0; i < codes.size(); ++i) keep[i] = keep[i] && codes[i] >= 0;
  }
  return keep;
}

}  // namespace cellmill
