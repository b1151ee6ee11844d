#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

/// Options of `vocab`; names and defaults as `cellmill vocab --help` has them.
struct MakeVocabularyOptions {
  std::vector<std::filesystem::path> inputs;  ///< AnnData, in order
  std::filesystem::path output;               ///< ends in .tsv
  std::string matrix = "X";                   ///< "X", "layers/NAME" or "raw/X"
  std::optional<std::string> filter;          ///< on obs, per input: the cells that count
  GeneJoin join = GeneJoin::outer;            ///< by gene name, in the first input's order
  std::optional<std::string> gene_key;        ///< var column that names genes
  /// Only so many: those that most cells express, of equal ones the first; in the inputs' order.
  std::optional<std::int32_t> n_genes;
  enum class Medians {
    none,
    nonzero  ///< of count / total · 10,000 over the cells where a gene is not zero; exact
  };
  Medians medians = Medians::none;
  IfExists if_exists = IfExists::refuse;
  std::int64_t memory = 0;  ///< bytes of resident memory; 0: 70% of the job's or node's
};

struct MakeVocabularySummary {
  std::filesystem::path output;
  std::int64_t cells_read = 0;
  std::int64_t n_cells = 0;  ///< that passed the filter
  std::int32_t n_genes = 0;  ///< written
  std::int32_t genes_of_inputs = 0;
  std::int32_t not_expressed = 0;  ///< genes that were written and no cell expresses; they have no
                                   ///< median. Known only if the inputs were read
  int readings = 0;                ///< of the inputs; none if nothing is asked of the counts
  std::int64_t peak_memory = 0;    ///< resident bytes
  double seconds = 0;
};

/// Writes a table of genes that read_vocabulary() reads: `gene`, `token` (0, 1, …), then, if they
/// were asked for, `median` and, if the inputs were read, `n_cells`, in how many a gene is above 0.
/// The inputs are read once, and once or more again for the medians, in bounded memory.
/// \throws Error; then nothing stands under the output's name. Error(input) for names that repeat,
/// for values that are not finite and, with medians, those that are no counts
MakeVocabularySummary make_vocabulary(const MakeVocabularyOptions& options, Arena& arena);

/// For people, and for `--json`.
[[nodiscard]] std::string summary_text(const MakeVocabularySummary& summary);
[[nodiscard]] nlohmann::json summary_json(const MakeVocabularySummary& summary);

}  // namespace cellmill
