#include "cellmill/analysis/concat.hpp"

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

class ConcatCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "concat"; }
  [[nodiscard]] std::string summary() const override {
    return "Join plates into one AnnData, as anndata.concat does, without loading them";
  }
  [[nodiscard]] Launch launch() const override { return Launch::ranks; }

  void add_options(CLI::App& app) override {
    app.description(
        "The cells of all plates one after the other, genes joined by name: X, layers, obs, obsm "
        "and raw of whole AnnData.\nuns, varm, obsp and the columns of var are left behind, as "
        "anndata.concat leaves them. Also under mpirun and srun.");
    app.add_option("plates", plates_, "h5ad files, Zarr stores, globs, @lists, folders of plates")
        ->option_text("PLATE...")
        ->required();
    app.add_option("-o,--output", options_.output, "What to write: a .zarr or .h5ad path")
        ->type_name("OUT")
        ->required();
    add_parsed(app, "--join", options_.join, parse_join,
               "What all plates have (inner) or any has (outer): genes, layers, obsm, columns of "
               "obs [inner]")
        ->type_name("HOW");
    app.add_option("--label", options_.label,
                   "Column of obs for the plate's name; '' for none [plate]")
        ->type_name("COLUMN");
    app.add_option("--keys", options_.keys, "Names of the plates, in order [their files' stems]")
        ->type_name("NAME...");
    app.add_option("--index-unique", options_.index_unique,
                   "What stands between a cell's name and its plate's in the index; '' for plain "
                   "names [-]")
        ->type_name("TEXT");
    app.add_option("--gene-key", options_.gene_key, "Column of var that names genes [the index]")
        ->type_name("COLUMN");
    app.add_option("--zarr-format", options_.zarr_format,
                   "2 or 3; anndata before 0.12 only reads 2 [3]")
        ->check(CLI::IsMember({2, 3}))
        ->option_text("2|3");
    app.add_option("--scratch", options_.scratch,
                   "auto, or a folder on local disk, for matrices that are not stored by rows "
                   "[auto]")
        ->type_name("WHERE");
    app.add_flag_callback(
        "--overwrite", [this] { options_.if_exists = IfExists::overwrite; },
        "Replace an output that exists, once the new one is whole");
    app.footer(
        "Examples:\n"
        "  cellmill concat plates -o all.zarr\n"
        "  cellmill concat a.h5ad b.zarr -o all.h5ad --join outer --label batch --keys a b\n"
        "  cellmill concat plate*.h5ad -o all.zarr --index-unique ''\n"
        "  mpirun -n 2 --bind-to none cellmill concat @plates.txt -o all.zarr --threads 8\n");
  }

  void run(const Session& session) override {
    options_.plates = expand_paths(plates_);
    options_.memory = session.options.memory;
    const ConcatSummary summary = concat(options_, session.comm, session.arena);
    if (session.comm.rank() != 0) return;
    const bool json = session.options.output == Output::json;
    std::cout << (json ? summary_json(summary).dump() + "\n" : summary_text(summary));
  }

 private:
  std::vector<std::string> plates_;
  ConcatOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_concat_command() { return std::make_unique<ConcatCommand>(); }

}  // namespace cellmill
