#include "cellmill/anndata/gene_join.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

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
std::string duplicate_warning(const DataFrame& var, const Strings& names, bool joins) {
  const std::vector<std::string> twice = duplicates(names);
  if (twice.empty()) return {};
  std::string found = fmt::format("{}: gene names that occur more than once, e.g. {}",
                                  var.location(), fmt::join(twice, ", "));
  if (joins) {
    throw input_error(
        found +
        "; plates are joined by gene name: give a var column of unique names with --gene-key");
  }
  return found;
}

/// Adds a source's names to those of all. \returns their places
std::vector<std::int32_t> match_names(JoinedGenes& joined, const Strings& names,
                                      std::unordered_map<std::string, std::int32_t>& places) {
  std::vector<std::int32_t> of_source;
  of_source.reserve(static_cast<std::size_t>(names.size()));
  for (std::int64_t i = 0; i < names.size(); ++i) {
    const auto [at, added] = places.emplace(std::string(names[i]), joined.n_genes());
    if (added) {
      joined.names.emplace_back(names[i]);
      joined.in_sources.push_back(0);
    }
    ++joined.in_sources[static_cast<std::size_t>(at->second)];
    of_source.push_back(at->second);
  }
  return of_source;
}

/// The names, and the new ones of those that have one.
Strings renamed(Strings names, const GeneMap& gene_map) {
  if (gene_map.empty()) return names;
  Strings changed;
  for (std::int64_t i = 0; i < names.size(); ++i) {
    const auto found = gene_map.find(names[i]);
    changed.push_back(found == gene_map.end() ? names[i] : std::string_view(found->second));
  }
  return changed;
}

JoinedGenes genes_of_one(const DataFrame& var, const Strings& names) {
  JoinedGenes joined;
  joined.warning = duplicate_warning(var, names, false);
  joined.names = names.to_vector();
  joined.in_sources.assign(joined.names.size(), 1);
  joined.place.emplace_back(joined.names.size());
  std::iota(joined.place.front().begin(), joined.place.front().end(), 0);
  return joined;
}

}  // namespace

Strings gene_names(const DataFrame& var, const std::optional<std::string>& gene_key) {
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

Strings gene_names(const AnnData& data, const std::optional<std::string>& gene_key) {
  return gene_names(data.var(), gene_key);
}

JoinedGenes join_genes(std::span<const DataFrame* const> vars,
                       const std::optional<std::string>& gene_key, const GeneMap& gene_map) {
  const auto names_of = [&](const DataFrame& var) {
    return renamed(gene_names(var, gene_key), gene_map);
  };
  if (vars.size() == 1) return genes_of_one(*vars.front(), names_of(*vars.front()));
  JoinedGenes joined;
  std::unordered_map<std::string, std::int32_t> places;
  Strings previous;  // names of the source before
  for (const DataFrame* var : vars) {
    Strings names = names_of(*var);
    if (!joined.place.empty() && names == previous) {
      // The plates of one experiment: nothing to look up.
      std::vector<std::int32_t> same = joined.place.back();
      for (const std::int32_t place : same) ++joined.in_sources[static_cast<std::size_t>(place)];
      joined.place.push_back(std::move(same));
      continue;
    }
    (void)duplicate_warning(*var, names, true);
    joined.place.push_back(match_names(joined, names, places));
    previous = std::move(names);
  }
  return joined;
}

JoinedGenes join_genes(std::span<const AnnData* const> sources,
                       const std::optional<std::string>& gene_key) {
  std::vector<const DataFrame*> vars;
  for (const AnnData* source : sources) vars.push_back(&source->var());
  return join_genes(vars, gene_key);
}

void check_join(const JoinedGenes& joined, std::span<const AnnData* const> sources, GeneJoin join) {
  const auto common =
      std::count(joined.in_sources.begin(), joined.in_sources.end(), joined.n_sources());
  if (common == joined.n_genes()) return;
  log_info(fmt::format("plates have different genes: {} in all of them, {} in any; --join {}",
                       grouped(common), grouped(joined.n_genes()),
                       join == GeneJoin::inner ? "inner" : "outer"));
  if (common > 0 || join == GeneJoin::outer) return;
  const auto& last = joined.place.back();
  throw input_error(fmt::format(
      "no gene is in all plates: {} has e.g. {}, {} has e.g. {}; if one has symbols and another "
      "ids, name a var column with --gene-key",
      plate_label(sources.front()->path()), joined.names.front(),
      plate_label(sources.back()->path()),
      joined.names[static_cast<std::size_t>(last.empty() ? 0 : last.front())]));
}

std::vector<std::int32_t> kept_genes(const JoinedGenes& joined, GeneJoin join) {
  std::vector<std::int32_t> kept;
  for (std::int32_t gene = 0; gene < joined.n_genes(); ++gene) {
    if (join == GeneJoin::outer ||
        joined.in_sources[static_cast<std::size_t>(gene)] == joined.n_sources()) {
      kept.push_back(gene);
    }
  }
  return kept;
}

std::vector<std::vector<std::int32_t>> gene_slots(const JoinedGenes& joined,
                                                  std::span<const std::int32_t> kept) {
  std::vector<std::int32_t> slot(joined.names.size(), -1);
  for (std::size_t i = 0; i < kept.size(); ++i) {
    slot[static_cast<std::size_t>(kept[i])] = static_cast<std::int32_t>(i);
  }
  std::vector<std::vector<std::int32_t>> slots;
  for (const auto& places : joined.place) {
    std::vector<std::int32_t> of_source;
    of_source.reserve(places.size());
    for (const std::int32_t place : places) {
      of_source.push_back(slot[static_cast<std::size_t>(place)]);
    }
    slots.push_back(std::move(of_source));
  }
  return slots;
}

}  // namespace cellmill
