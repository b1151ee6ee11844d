#include "cellmill/train/shard.hpp"

#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

StoreCodec parse_codec(const std::string& name) {
  if (name == "portable") return StoreCodec::portable;
  if (name == "fast") return StoreCodec::fast;
  throw usage_error(fmt::format("'{}' is no codec of a store; expected portable or fast", name));
}

class ShardCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "shard"; }
  [[nodiscard]] std::string summary() const override {
    return "Plates in, one training store out: sharded, compact, shuffled if you like";
  }
  [[nodiscard]] Launch launch() const override { return Launch::alone; }

  void add_options(CLI::App& app) override {
    app.description(
        "Joins plates by gene name into one AnnData on sharded Zarr v3, made for reading cells in "
        "random order:\nsmall chunks with checksums, counts in the smallest type that holds them. "
        "anndata and zarr-python open it.");
    add_data_options(app);
    add_store_options(app);
    app.footer(
        "Examples:\n"
        "  cellmill shard plates -o train.zarr --filter 'pass_filter == \"full\"' --obs cell_line "
        "drug\n"
        "  cellmill shard plate*.h5ad -o train.zarr --shuffle --seed 7\n"
        "  cellmill shard merged.h5ad -o train.zarr --layer counts --genes vocabulary.txt\n"
        "  cellmill shard plates -o train.zarr --shuffle --seed 7 --resume\n");
  }

  void run(const Session& session) override {
    options_.inputs = expand_paths(inputs_);
    options_.memory = session.options.memory;
    if (!obs_.empty()) options_.obs = obs_;
    if (genes_) options_.genes = read_gene_list(*genes_);
    const ShardSummary summary = shard(options_, session.arena);
    const bool json = session.options.output == Output::json;
    std::cout << (json ? summary_json(summary).dump() + "\n" : summary_text(summary));
  }

 private:
  void add_data_options(CLI::App& app) {
    app.add_option("inputs", inputs_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("INPUT...")
        ->required();
    app.add_option("--filter", options_.filter,
                   "Which cells, by obs, e.g. 'pass_filter == \"full\" and n_counts >= 1000' [all]")
        ->type_name("EXPR");
    app.add_option("--obs", obs_, "Columns of obs that the store has [all]")
        ->type_name("COLUMN")
        ->expected(1, CLI::detail::expected_max_vector_size);
    add_parsed(app, "--layer", options_.matrix, parse_matrix,
               "Where the counts are: X, raw.X or the name of a layer [X]")
        ->type_name("NAME");
    app.add_option("--genes", genes_,
                   "Text file of genes, one a line: the store has these, in this order")
        ->type_name("FILE");
    add_parsed(app, "--join", options_.join, parse_join,
               "Without --genes: genes of all inputs (inner) or of any (outer), by name, in the "
               "first one's order [inner]")
        ->type_name("HOW");
    app.add_option("--gene-key", options_.gene_key, "Column of var that names genes [the index]")
        ->type_name("COLUMN");
    app.add_option("--label", options_.label, "Column of obs for the input's name [plate]")
        ->type_name("COLUMN");
    app.add_option("--index-unique", options_.index_unique,
                   "What stands between a cell's name and its input's in the index [-]")
        ->type_name("TEXT");
  }

  void add_store_options(CLI::App& app) {
    app.add_option("-o,--output", options_.output, "What to write: a .zarr path")
        ->type_name("STORE")
        ->required();
    add_parsed(
        app, "--codec", options_.codec, parse_codec,
        "How counts are kept: portable (blosc-lz4, which any zarr-python reads) or fast (half "
        "the size and several times the speed, for cellmill and Python with it) [portable]")
        ->type_name("NAME");
    app.add_flag_callback(
        "--shuffle,!--no-shuffle", [this] { options_.order = RowOrder::shuffled; },
        "Cells in random order, by way of scratch; otherwise in the order of the inputs");
    add_count(app, "--seed", options_.seed, 0, "Of the random order");
    add_count(app, "--chunk-rows", options_.chunk_rows, 1,
              "Cells that are compressed together, on average");
    add_count(app, "--shard-rows", options_.shard_rows, 1, "Cells in a file, on average");
    app.add_option("--scratch", options_.scratch,
                   "Where cells wait to be shuffled: auto or a folder on a local disk [auto]")
        ->type_name("auto|DIR");
    app.add_flag_callback(
        "--resume", [this] { options_.resume = Resume::yes; },
        "Go on with what an interrupted run of the same inputs and options has written");
    app.add_flag_callback(
        "--overwrite", [this] { options_.if_exists = IfExists::overwrite; },
        "Replace an output that exists, once the new one is whole");
  }

  std::vector<std::string> inputs_;
  std::vector<std::string> obs_;
  std::optional<std::string> genes_;
  ShardOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_shard_command() { return std::make_unique<ShardCommand>(); }

}  // namespace cellmill
