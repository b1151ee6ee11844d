#include "cellmill/simulate/simulate.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cellmill/core/progress.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

class SimulateCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "simulate"; }
  [[nodiscard]] std::string summary() const override {
    return "Make up plates like Tahoe-100M's, to try things on";
  }
  [[nodiscard]] Launch launch() const override { return Launch::alone; }

  void add_options(CLI::App& app) override {
    app.description(
        "Writes plate1.h5ad, plate2.h5ad … : gzip CSR float32 counts; obs pass_filter (full or "
        "minimal), cell_line,\ndrug, sample. Markers are shared by the plates, so that their "
        "highly "
        "variable genes agree. The same options\ngive the same data.");
    app.add_option("out_dir", folder_, "Folder for the plates; made if absent")
        ->option_text("OUT_DIR")
        ->required();
    add_count(app, "--plates", options_.plates, 1, "Plates");
    add_count(app, "--cells", options_.cells, 1, "Cells a plate");
    add_count(app, "--genes", options_.genes, 1, "Genes");
    add_parsed(app, "--nnz", options_.nnz, parse_positive,
               "Mean non-zeros a cell, of the cells that pass the filter [1439]")
        ->type_name("NUMBER");
    add_count(app, "--cell-lines", options_.cell_lines, 1, "Cell lines");
    add_count(app, "--seed", options_.seed, 0, "Seed of the random numbers");
    app.add_option("--format", options_.format, "h5ad or zarr [h5ad]")
        ->check(CLI::IsMember({"h5ad", "zarr"}))
        ->option_text("h5ad|zarr");
    app.footer(
        "Examples:\n"
        "  cellmill simulate plates\n"
        "  cellmill simulate small --plates 3 --cells 1000 --genes 2000 --nnz 200 --format zarr\n");
  }

  void run(const Session& session) override {
    const std::int64_t total = options_.cells * options_.plates;
    ProgressLine progress("simulate", total);
    const std::vector<std::filesystem::path> paths = simulate_plates(
        folder_, options_, session.arena, [&](std::int64_t cells) { progress.show(cells, 0); });
    progress.finish();
    if (session.options.output == Output::json) {
      nlohmann::json result = {{"plates", nlohmann::json::array()},
                               {"cells", total},
                               {"genes", options_.genes},
                               {"seed", options_.seed}};
      for (const std::filesystem::path& path : paths) result["plates"].push_back(path.string());
      std::cout << result.dump() << '\n';
    } else {
      for (const std::filesystem::path& path : paths) std::cout << path.string() << '\n';
    }
  }

 private:
  std::filesystem::path folder_;
  SimulateOptions options_;
};

}  // namespace

std::unique_ptr<Command> make_simulate_command() { return std::make_unique<SimulateCommand>(); }

}  // namespace cellmill
