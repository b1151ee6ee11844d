#include "cellmill/train/make_vocabulary.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <unordered_set>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/scratch_file.hpp"
#include "cellmill/train/vocabulary.hpp"
#include "train/gene_counts.hpp"

namespace cellmill {
namespace {

using Medians = MakeVocabularyOptions::Medians;

void check_stop() {
  if (stop_requested()) throw stopped_error("stopped on request");
}

/// The genes that have a name, as places in `names`.
/// \throws Error(input) for names that repeat or that a table can't hold
std::vector<std::int32_t> named_genes(const InputRows& rows) {
  const std::vector<std::string>& names = rows.genes().names;
  const std::string location = rows.data().source(0).var().location();
  std::unordered_set<std::string_view> seen;
  std::vector<std::int32_t> named;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    if (name.empty()) continue;
    if (name.find_first_of("\t\n\r") != std::string::npos) {
      throw input_error(fmt::format(
          "{}: the name of gene {} has a tab or an end of line in it, which a table can't hold",
          location, grouped(static_cast<std::int64_t>(i))));
    }
    if (!seen.insert(name).second) {
      throw input_error(fmt::format(
          "{}: '{}' occurs more than once, and a vocabulary has each name once: give a var column "
          "of unique names with --gene-key",
          location, name));
    }
    named.push_back(static_cast<std::int32_t>(i));
  }
  if (named.empty()) throw input_error(location + ": no gene has a name");
  if (named.size() < names.size()) {
    log_warning(fmt::format("{}: {} genes have no name and are left out", location,
                            grouped(static_cast<std::int64_t>(names.size() - named.size()))));
  }
  return named;
}

/// Those of `genes` that most cells express, in their order.
std::vector<std::int32_t> most_expressed(std::vector<std::int32_t> genes,
                                         const std::vector<std::int64_t>& n_cells,
                                         std::int32_t n_genes) {
  const auto wanted = static_cast<std::size_t>(n_genes);
  if (wanted > genes.size()) {
    log_warning(fmt::format("there are {} genes, fewer than --n-genes {}: all are taken",
                            grouped(static_cast<std::int64_t>(genes.size())), n_genes));
    return genes;
  }
  const auto cells = [&](std::int32_t gene) { return n_cells[static_cast<std::size_t>(gene)]; };
  std::stable_sort(genes.begin(), genes.end(),
                   [&](std::int32_t a, std::int32_t b) { return cells(a) > cells(b); });
  genes.resize(wanted);
  std::sort(genes.begin(), genes.end());
  return genes;
}

void write(const MakeVocabularyOptions& options, const InputRows& rows, const GeneCounts& counts,
           const std::vector<std::int32_t>& genes) {
  Vocabulary vocabulary;
  std::vector<std::int64_t> n_cells;
  for (const std::int32_t gene : genes) {
    const auto at = static_cast<std::size_t>(gene);
    vocabulary.names.push_back(rows.genes().names[at]);
    vocabulary.ids.push_back(static_cast<std::int32_t>(vocabulary.ids.size()));
    if (!counts.medians.empty()) vocabulary.medians.push_back(counts.medians[at]);
    if (counts.readings > 0) n_cells.push_back(counts.n_cells[at]);
  }
  AtomicOutput output(options.output, options.if_exists);
  write_vocabulary(output.partial(), vocabulary, n_cells);
  output.commit();
}

}  // namespace

MakeVocabularySummary make_vocabulary(const MakeVocabularyOptions& options, Arena& arena) {
  const auto start = std::chrono::steady_clock::now();
  if (options.output.extension() != ".tsv") {
    throw usage_error(options.output.string() + ": the output's name must end in .tsv");
  }
  (void)AtomicOutput(options.output, options.if_exists);  // before all the work
  InputRows rows({options.inputs, options.matrix, options.filter, options.join, std::nullopt,
                  options.gene_key},
                 arena, check_stop);
  std::vector<std::int32_t> genes = named_genes(rows);
  MakeVocabularySummary summary;
  summary.output = options.output;
  summary.cells_read = rows.data().n_obs();
  summary.n_cells = rows.n_cells();
  summary.genes_of_inputs = rows.n_genes();
  GeneCounts counts;
  if (options.n_genes || options.medians != Medians::none) {
    const std::filesystem::path folder = options.output.parent_path();
    rows.prepare(find_scratch_folder(folder, rows.stored_nonzeros() * 8), arena);
    MemoryBudget budget(buffer_limit(options.memory));
    counts = count_genes({rows, {arena, budget}, check_stop}, options.medians);
  }
  if (options.n_genes) {
    genes = most_expressed(std::move(genes), counts.n_cells, *options.n_genes);
  }
  write(options, rows, counts, genes);
  summary.n_genes = static_cast<std::int32_t>(genes.size());
  summary.readings = counts.readings;
  if (counts.readings > 0) {
    summary.not_expressed =
        static_cast<std::int32_t>(std::count_if(genes.begin(), genes.end(), [&](std::int32_t gene) {
          return counts.n_cells[static_cast<std::size_t>(gene)] == 0;
        }));
  }
  summary.peak_memory = peak_rss();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

std::string summary_text(const MakeVocabularySummary& summary) {
  std::string text =
      fmt::format("written: {}\ngenes: {} of {}, cells: {} of {}\n", summary.output.string(),
                  grouped(summary.n_genes), grouped(summary.genes_of_inputs),
                  grouped(summary.n_cells), grouped(summary.cells_read));
  if (summary.not_expressed > 0) {
    text += fmt::format("{} of the genes are in no cell\n", grouped(summary.not_expressed));
  }
  if (summary.readings > 0) {
    text += fmt::format("read {}, {}\n",
                        summary.readings == 1 ? "once" : fmt::format("{} times", summary.readings),
                        human_seconds(summary.seconds));
  }
  return text;
}

nlohmann::json summary_json(const MakeVocabularySummary& summary) {
  return {{"output", summary.output.string()},
          {"cells_read", summary.cells_read},
          {"cells", summary.n_cells},
          {"genes", summary.n_genes},
          {"genes_of_inputs", summary.genes_of_inputs},
          {"not_expressed", summary.not_expressed},
          {"readings", summary.readings},
          {"peak_memory", summary.peak_memory},
          {"seconds", summary.seconds}};
}

}  // namespace cellmill
