#include "train/gene_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

bool is_identity(std::span<const std::int32_t> slots, std::size_t n_cols) {
  if (slots.size() != n_cols) return false;
  for (std::size_t i = 0; i < n_cols; ++i) {
    if (slots[i] != static_cast<std::int32_t>(i)) return false;
  }
  return true;
}

/// Ensembl's ids look like ENSG00000141510.
bool looks_like_ids(const std::vector<std::string>& names) {
  const auto ids = std::count_if(names.begin(), names.end(),
                                 [](const std::string& name) { return name.starts_with("ENS"); });
  return 2 * ids > static_cast<std::int64_t>(names.size());
}

GeneChoice joined_genes(const Dataset& data, const JoinedGenes& joined, GeneJoin join) {
  std::vector<const AnnData*> sources;
  sources.reserve(static_cast<std::size_t>(data.n_sources()));
  for (std::int32_t i = 0; i < data.n_sources(); ++i) sources.push_back(&data.source(i));
  check_join(joined, sources, join);
  GeneChoice choice;
  const std::vector<std::int32_t> kept = kept_genes(joined, join);
  for (const std::int32_t place : kept) {
    choice.names.push_back(joined.names[static_cast<std::size_t>(place)]);
  }
  choice.slots = gene_slots(joined, kept);
  return choice;
}

GeneChoice wanted_genes(const Dataset& data, const JoinedGenes& joined,
                        const std::vector<std::string>& wanted) {
  std::unordered_map<std::string_view, std::int32_t> column;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!column.emplace(wanted[i], static_cast<std::int32_t>(i)).second) {
      throw input_error(fmt::format("genes: '{}' is asked for twice", wanted[i]));
    }
  }
  GeneChoice choice;
  choice.names = wanted;
  std::vector<std::int32_t> slot_of(joined.names.size(), -1);
  std::vector<bool> found(wanted.size(), false);
  for (std::size_t i = 0; i < joined.names.size(); ++i) {
    const auto at = column.find(joined.names[i]);
    if (at == column.end()) continue;
    if (found[static_cast<std::size_t>(at->second)]) {
      throw input_error(fmt::format("{}: gene '{}' is asked for, and occurs more than once",
                                    data.source(0).var().location(), joined.names[i]));
    }
    found[static_cast<std::size_t>(at->second)] = true;
    slot_of[i] = at->second;
  }
  choice.absent = std::count(found.begin(), found.end(), false);
  if (choice.absent == static_cast<std::int64_t>(wanted.size()) && !wanted.empty()) {
    throw no_match_error("genes", wanted, joined.names);
  }
  for (const auto& places : joined.place) {
    std::vector<std::int32_t>& slots = choice.slots.emplace_back();
    for (const std::int32_t place : places) {
      slots.push_back(slot_of[static_cast<std::size_t>(place)]);
    }
  }
  return choice;
}

}  // namespace

Error no_match_error(std::string_view what, const std::vector<std::string>& wanted,
                     const std::vector<std::string>& genes) {
  const bool mixed = !genes.empty() && looks_like_ids(wanted) != looks_like_ids(genes);
  // Vocabularies may begin with special tokens.
  auto example = std::find_if(wanted.begin(), wanted.end(),
                              [](const std::string& name) { return !name.starts_with('<'); });
  if (example == wanted.end()) example = wanted.begin();
  return input_error(fmt::format(
      "{}: none of the {} is in the data: asked for e.g. {}, the data has e.g. {}{}", what,
      grouped(static_cast<std::int64_t>(wanted.size())), wanted.empty() ? "none" : *example,
      genes.empty() ? "none" : genes.front(),
      mixed ? "; one looks like gene symbols, the other like ids: name a var column with gene_key"
            : ""));
}

GeneChoice choose_genes(const Dataset& data, const std::string& matrix, GeneJoin join,
                        const std::optional<std::vector<std::string>>& wanted) {
  const JoinedGenes joined = data.genes(matrix);
  GeneChoice choice =
      wanted ? wanted_genes(data, joined, *wanted) : joined_genes(data, joined, join);
  choice.warning = joined.warning;
  for (auto& slots : choice.slots) {
    if (is_identity(slots, choice.names.size())) slots.clear();
  }
  return choice;
}

}  // namespace cellmill
