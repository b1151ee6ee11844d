#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/train/make_vocabulary.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

class VocabCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "vocab"; }
  [[nodiscard]] std::string summary() const override {
    return "A gene vocabulary from data, with Geneformer's medians: what tokens are made with";
  }
  [[nodiscard]] Launch launch() const override { return Launch::alone; }

  void add_options(CLI::App& app) override {
    app.description(
        "Writes a table of genes: name, token and, with --medians, the median of count / total · "
        "10,000 over the cells\nwhere a gene is not zero, exact, whatever the number of cells and "
        "the memory. cm.Geneformer, cm.ScGPT and\ncm.RankValue read it. Inputs are only read where "
        "--n-genes or --medians asks for it.");
    app.add_option("inputs", inputs_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("INPUT...")
        ->required();
    app.add_option("-o,--output", options_.output, "What to write: a .tsv path")
        ->type_name("FILE")
        ->required();
    add_count(app, "--n-genes", options_.n_genes, 1,
              "The genes that most cells express, so many [all]");
    app.add_flag_callback(
        "--medians", [this] { options_.medians = MakeVocabularyOptions::Medians::nonzero; },
        "Geneformer's non-zero medians; the counts must be raw");
    app.add_option("--filter", options_.filter,
                   "Which cells count, by obs, e.g. 'pass_filter == \"full\"' [all]")
        ->type_name("EXPR");
    add_parsed(app, "--layer", options_.matrix, parse_matrix,
               "Where the counts are: X, raw.X or the name of a layer [X]")
        ->type_name("NAME");
    add_parsed(app, "--join", options_.join, parse_join,
               "Genes of any input (outer) or of all (inner), by name, in the first one's order "
               "[outer]")
        ->type_name("HOW");
    app.add_option("--gene-key", options_.gene_key, "Column of var that names genes [the index]")
        ->type_name("COLUMN");
    app.add_flag_callback(
        "--overwrite", [this] { options_.if_exists = IfExists::overwrite; },
        "Replace an output that exists, once the new one is whole");
    app.footer(
        "Examples:\n"
        "  cellmill vocab plates -o genes.tsv\n"
        "  cellmill vocab plates -o genes.tsv --medians --filter 'pass_filter == \"full\"'\n"
        "  cellmill vocab plate*.h5ad -o genes.tsv --n-genes 20000 --medians --gene-key gene_ids\n"
        "  cellmill vocab merged.h5ad -o genes.tsv --layer counts --medians --memory 4G\n");
  }

  void run(const Session& session) override {
    options_.inputs = expand_paths(inputs_);
    options_.memory = session.options.memory;
    const MakeVocabularySummary summary = make_vocabulary(options_, session.arena);
    const bool json = session.options.output == Output::json;
    std::cout << (json ? summary_json(summary).dump() + "\n" : summary_text(summary));
  }

 private:
  std::vector<std::string> inputs_;
  MakeVocabularyOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_vocab_command() { return std::make_unique<VocabCommand>(); }

}  // namespace cellmill
