#include "cellmill/analysis/run.hpp"

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

WriteX parse_write_x(const std::string& name) {
  if (name == "none") return WriteX::none;
  if (name == "counts") return WriteX::counts;
  if (name == "lognorm") return WriteX::lognorm;
  throw usage_error(fmt::format("'{}' can't be written; expected none, counts or lognorm", name));
}

std::optional<double> parse_target_sum(const std::string& text) {
  if (text == "median") return std::nullopt;
  return with_context("median or a number", [&] { return parse_positive(text); });
}

class RunCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "run"; }
  [[nodiscard]] std::string summary() const override {
    return "Plates in, PCA out: filter, normalise, log1p, highly variable genes, join, PCA";
  }
  [[nodiscard]] Launch launch() const override { return Launch::ranks; }

  void add_options(CLI::App& app) override {
    app.description(
        "For each plate: filter, normalise, log1p, highly variable genes. Keeps the genes chosen "
        "in "
        "enough plates, joins\nthe plates, computes the principal components and writes one "
        "AnnData. Also under mpirun and srun.");
    add_data_options(app);
    add_analysis_options(app);
    add_output_options(app);
    app.footer(
        "Examples:\n"
        "  cellmill run plates -o pca.zarr --filter 'pass_filter == \"full\"'\n"
        "  cellmill run plate1.h5ad plate2.h5ad -o pca.h5ad --n-comps 50 --flavor cell_ranger\n"
        "  cellmill run merged.h5ad -o pca.zarr --batch-key donor --min-plates 2\n"
        "  mpirun -n 2 --bind-to none cellmill run @plates.txt -o pca.zarr --threads 8\n"
        "  srun cellmill run --config run.toml --overwrite\n"
        "  srun cellmill run plates -o pca.zarr --checkpoint ckpt --resume   # again after a "
        "stop\n");
  }

  void run(const Session& session) override {
    options_.plates = expand_paths(plates_);
    options_.memory = session.options.memory;
    const bool json = session.options.output == Output::json;
    const bool speaks = session.comm.rank() == 0;
    if (mode_ == Mode::estimate) {
      const RunEstimate estimate = estimate_run(options_, session.comm, session.arena);
      if (speaks) {
        std::cout << (json ? estimate_json(estimate).dump() + "\n" : estimate_text(estimate));
      }
      return;
    }
    const RunSummary summary = cellmill::run(options_, session.comm, session.arena);
    if (speaks) std::cout << (json ? summary_json(summary).dump() + "\n" : summary_text(summary));
  }

 private:
  void add_data_options(CLI::App& app) {
    app.add_option("plates", plates_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("PLATE...")
        ->required();
    app.add_option("--filter", options_.filter,
                   "Which cells, by obs, e.g. 'pass_filter == \"full\" and n_counts >= 1000' [all]")
        ->type_name("EXPR");
    add_parsed(app, "--join", options_.join, parse_join,
               "Genes of all plates (inner) or of any (outer), by name, in the first plate's order "
               "[inner]")
        ->type_name("HOW");
    app.add_option("--gene-key", options_.gene_key, "Column of var that names genes [the index]")
        ->type_name("COLUMN");
    app.add_option("--batch-key", options_.batch_key,
                   "Column of obs that tells the batches [the plates are the batches]")
        ->type_name("COLUMN");
    app.add_option("--label", options_.label, "Column of obs for the plate's name [plate]")
        ->type_name("COLUMN");
    app.add_option("--index-unique", options_.index_unique,
                   "What stands between a cell's name and its plate's in the index [-]")
        ->type_name("TEXT");
  }

  void add_analysis_options(CLI::App& app) {
    add_parsed(app, "--target-sum", options_.target_sum, parse_target_sum,
               "Counts that a cell is scaled to: a number, or the median of its plate [median]")
        ->type_name("median|NUMBER");
    add_parsed(app, "--flavor", options_.flavor, parse_hvg_flavor,
               "How genes are chosen: seurat or cell_ranger [seurat]")
        ->type_name("NAME");
    add_count(app, "--n-top-genes", options_.n_top_genes, 1, "Genes that a plate chooses");
    add_count(app, "--min-plates", options_.min_plates, 1,
              "Plates that must choose a gene [3, or all where there are fewer]");
    add_count(app, "--n-comps", options_.n_comps, 1,
              "Principal components [300, at most min(cells, genes) - 1]");
  }

  void add_output_options(CLI::App& app) {
    app.add_option("-o,--output", options_.output, "What to write: a .zarr or .h5ad path")
        ->type_name("OUT")
        ->required();
    add_parsed(app, "--write-x", options_.write_x, parse_write_x,
               "Also X of the kept genes: none, counts or lognorm [none]")
        ->type_name("WHAT");
    app.add_option("--zarr-format", options_.zarr_format,
                   "2 or 3; anndata before 0.12 only reads 2 [3]")
        ->check(CLI::IsMember({2, 3}))
        ->option_text("2|3");
    app.add_option("--scratch", options_.scratch,
                   "Where the compact copy for the later passes goes: auto, none or a folder on a "
                   "local disk [auto]")
        ->type_name("auto|none|DIR");
    app.add_option("--checkpoint", options_.checkpoint,
                   "Folder, seen by all nodes, where the run leaves what it has done, so that an "
                   "interrupted one can be gone on with")
        ->type_name("DIR");
    add_parsed(app, "--checkpoint-every", options_.checkpoint_seconds, parse_positive,
               "Seconds between checkpoints: what a killed run loses at most [20]")
        ->type_name("SECONDS");
    add_parsed(app, "--io-timeout", options_.io_timeout, parse_positive,
               "Seconds that one read or write may take before the file system counts as hung and "
               "the job ends [600]")
        ->type_name("SECONDS");
    app.add_flag_callback(
        "--resume", [this] { options_.resume = Resume::yes; },
        "Go on from --checkpoint if an unfinished run is there, on any number of ranks; a finished "
        "output of the same inputs and options is left as it is");
    app.add_flag_callback(
        "--overwrite", [this] { options_.if_exists = IfExists::overwrite; },
        "Replace an output that exists, once the new one is whole");
    app.add_flag_callback(
        "--dry-run", [this] { mode_ = Mode::estimate; },
        "Only say what would be read and written, and how long it would take");
  }

  enum class Mode { run, estimate };
  std::vector<std::string> plates_;
  RunOptions options_;
  Mode mode_ = Mode::run;
};

}  // namespace

std::unique_ptr<Command> make_run_command() { return std::make_unique<RunCommand>(); }

}  // namespace cellmill
