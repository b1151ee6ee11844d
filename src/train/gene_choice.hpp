#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/train/dataset.hpp"

namespace cellmill {

/// The genes that are the columns of what is made of several sources.
struct GeneChoice {
  std::vector<std::string> names;
  /// Per source, of each of its columns: its column here, −1: left out; empty: the same.
  std::vector<std::vector<std::int32_t>> slots;
  std::int64_t absent = 0;  ///< of the names: in no source
  std::string warning;      ///< as JoinedGenes::warning
};

/// \param matrix "X", "layers/NAME" or "raw/X"
/// \param wanted the genes, in this order; otherwise those that the join leaves
/// \throws Error(input) if that are none, if names repeat where they must join, or if a gene is
/// wanted twice
[[nodiscard]] GeneChoice choose_genes(const Dataset& data, const std::string& matrix, GeneJoin join,
                                      const std::optional<std::vector<std::string>>& wanted);

/// What to say if none of the names is among the genes. \param what was to have them, e.g. `genes`
[[nodiscard]] Error no_match_error(std::string_view what, const std::vector<std::string>& wanted,
                                   const std::vector<std::string>& genes);

}  // namespace cellmill
