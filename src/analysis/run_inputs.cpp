#include "analysis/run_inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Names of a plate's genes: the index of var, or the column `--gene-key`.
Strings gene_names(const AnnData& data, const std::optional<std::string>& gene_key) {
  const DataFrame& var = data.var();
  const Range all{0, var.n_rows()};
  if (!gene_key) return var.index(all);
  const ColumnInfo& column = var.column(*gene_key);
  if (column.kind == ColumnKind::string || column.kind == ColumnKind::nullable_string) {
    return var.read(*gene_key, all).strings;
  }
  if (column.kind == ColumnKind::categorical) {
    const Strings levels = var.levels(*gene_key);
    Strings names;
    for (const std::int32_t code : var.read(*gene_key, all).codes) {
      names.push_back(code < 0 ? std::string_view{} : levels[code]);
    }
    return names;
  }
  throw input_error(
      fmt::format("{}: --gene-key {}: a column of names is expected, this one holds {}",
                  var.location(), *gene_key, dtype_name(column.dtype)));
}

/// Up to three names that occur more than once.
std::vector<std::string> duplicates(const Strings& names) {
  std::unordered_map<std::string_view, int> seen;
  std::vector<std::string> twice;
  for (std::int64_t i = 0; i < names.size(); ++i) {
    if (++seen[names[i]] == 2 && twice.size() < 3) twice.emplace_back(names[i]);
  }
  return twice;
}

/// \throws Error(input) for duplicates where names must join
/// \returns what to warn of, or nothing
std::string duplicate_warning(const Plate& plate, const Strings& names, bool joins) {
  const std::vector<std::string> twice = duplicates(names);
  if (twice.empty()) return {};
  const std::string found = fmt::format("{}: gene names that occur more than once, e.g. {}",
                                        plate.data->var().location(), fmt::join(twice, ", "));
  if (joins) {
    throw input_error(
        found +
        "; plates are joined by gene name: give a var column of unique names with --gene-key");
  }
  return found;
}

/// Adds a plate's genes to those of all.
void match_genes(RunInputs& inputs, Plate& plate, const Strings& names, bool joins,
                 std::unordered_map<std::string, std::int32_t>& places) {
  plate.gene.resize(static_cast<std::size_t>(names.size()));
  for (std::int64_t i = 0; i < names.size(); ++i) {
    const auto next = static_cast<std::int32_t>(inputs.genes.size());
    std::int32_t place = next;
    // One plate needs no join: its genes are told apart by position, whatever their names.
    if (joins) place = places.emplace(std::string(names[i]), next).first->second;
    if (place == next) {
      inputs.genes.emplace_back(names[i]);
      inputs.in_plates.push_back(0);
    }
    ++inputs.in_plates[static_cast<std::size_t>(place)];
    plate.gene[static_cast<std::size_t>(i)] = place;
  }
}

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
  const bool joins = options.plates.size() > 1;
  std::unordered_map<std::string, std::int32_t> places;
  std::set<std::string> names;
  Strings previous;  // gene names of the plate before
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
    Strings genes = gene_names(*plate.data, options.gene_key);
    if (!inputs.plates.empty() && genes == previous) {
      // The plates of one experiment: nothing to look up.
      plate.gene = inputs.plates.back().gene;
      for (const std::int32_t place : plate.gene) {
        ++inputs.in_plates[static_cast<std::size_t>(place)];
      }
    } else {
      const std::string twice = duplicate_warning(plate, genes, joins);
      if (rank == 0 && !twice.empty()) log_warning(twice);
      match_genes(inputs, plate, genes, joins, places);
      previous = std::move(genes);
    }
    if (rank == 0 && plate.data->obs().has(options.label)) {
      log_warning(fmt::format(
          "{}: the column '{}' is replaced by the plate's name; choose another with --label",
          plate.data->obs().location(), options.label));
    }
    inputs.plates.push_back(std::move(plate));
  }

  const auto n_plates = static_cast<std::int32_t>(inputs.plates.size());
  const auto common = std::count(inputs.in_plates.begin(), inputs.in_plates.end(), n_plates);
  if (common < inputs.n_genes()) {
    log_info(fmt::format("plates have different genes: {} in all of them, {} in any; --join {}",
                         grouped(common), grouped(inputs.n_genes()),
                         options.join == GeneJoin::inner ? "inner" : "outer"));
    if (common == 0 && options.join == GeneJoin::inner) {
      throw input_error(fmt::format(
          "no gene is in all plates: {} has e.g. {}, {} has e.g. {}; if one has symbols and "
          "another ids, "
          "name a var column with --gene-key",
          inputs.plates.front().name, inputs.genes.front(), inputs.plates.back().name,
          inputs.genes[static_cast<std::size_t>(
              inputs.plates.back().gene.empty() ? 0 : inputs.plates.back().gene.front())]));
    }
  }
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
