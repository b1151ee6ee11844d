#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/dataframe.hpp"
#include "cellmill/storage/strings.hpp"

namespace cellmill {

/// Which genes of several sources go on: those of all of them, or of any.
enum class GeneJoin { inner, outer };

/// Names of the genes: the index of var, or the column `gene_key` (text or categories of text; a
/// missing name is empty).
/// \throws Error(missing) if there is no such column, Error(input) if it holds no names
[[nodiscard]] Strings gene_names(const DataFrame& var, const std::optional<std::string>& gene_key);
[[nodiscard]] Strings gene_names(const AnnData& data, const std::optional<std::string>& gene_key);

/// New names of genes: what is not in it keeps its name.
using GeneMap = std::map<std::string, std::string, std::less<>>;

/// The genes of several sources, matched by name.
struct JoinedGenes {
  std::vector<std::string> names;  ///< of all sources: the first one's order, then what others add
  std::vector<std::int32_t> in_sources;          ///< of each name: sources that have it
  std::vector<std::vector<std::int32_t>> place;  ///< per source, of each var row: its place in
                                                 ///< `names`
  std::string warning;  ///< for the user to see once, on one rank: what is odd about the names; or
                        ///< empty

  [[nodiscard]] std::int32_t n_genes() const { return static_cast<std::int32_t>(names.size()); }
  [[nodiscard]] std::int32_t n_sources() const { return static_cast<std::int32_t>(place.size()); }
};

/// Reads the names and matches them. One source needs no join: its genes are told apart by
/// position, and names that repeat are only warned of.
/// \throws Error(input) naming the source whose names repeat, where several must join
[[nodiscard]] JoinedGenes join_genes(std::span<const DataFrame* const> vars,
                                     const std::optional<std::string>& gene_key,
                                     const GeneMap& gene_map = {});
[[nodiscard]] JoinedGenes join_genes(std::span<const AnnData* const> sources,
                                     const std::optional<std::string>& gene_key);

/// Notes in the log that sources have different genes.
/// \throws Error(input) with examples if an inner join leaves none of them
void check_join(const JoinedGenes& joined, std::span<const AnnData* const> sources, GeneJoin join);

/// The genes that the join leaves, as places in `names`, rising.
[[nodiscard]] std::vector<std::int32_t> kept_genes(const JoinedGenes& joined, GeneJoin join);

/// Per source, of each var row: which of `kept` (places in `names`) it is, or −1.
[[nodiscard]] std::vector<std::vector<std::int32_t>> gene_slots(const JoinedGenes& joined,
                                                                std::span<const std::int32_t> kept);

}  // namespace cellmill
