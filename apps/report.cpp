#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/core/child_process.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/output.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

/// Runs the package's module with the options in its first argument; prints one line of JSON.
constexpr const char* program = R"py(
import json, sys
try:
    import anndata, plotly, cellmill.reports.__main__ as report
except ImportError as error:
    print(json.dumps({"absent": str(error)}))
else:
    print(json.dumps(report.main(json.loads(sys.argv[1]))))
)py";

Error::Kind kind_of(const std::string& name) {
  if (name == "input") return Error::Kind::input;
  if (name == "not_found") return Error::Kind::not_found;
  if (name == "missing") return Error::Kind::missing;
  return Error::Kind::io;
}

/// The Python of the package that started this program, or the first one there is.
std::string default_python() {
  const char* python = std::getenv("CELLMILL_PYTHON");
  return python != nullptr && *python != '\0' ? python : "python3";
}

class ReportCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "report"; }
  [[nodiscard]] std::string summary() const override {
    return "Draw what a run did: one HTML page that needs no network";
  }
  [[nodiscard]] Launch launch() const override { return Launch::alone; }

  void add_options(CLI::App& app) override {
    app.description(
        "Cells and genes of each plate, highly variable genes, variance, any two components, what "
        "each rank did when.\nDrawn by Python: pip install 'cellmill[report]'.");
    app.add_option("out", input_, "What `cellmill run` wrote: a .zarr or .h5ad path")
        ->option_text("OUT")
        ->required();
    app.add_option("-o,--output", output_, "The page: a path that ends in .html")
        ->type_name("PAGE")
        ->required();
    app.add_option("--obs", obs_,
                   "Columns of obs that colour the cells [the plates' and as many as 23 more]")
        ->type_name("COLUMN...");
    add_count(app, "--cells", cells_, 1, "Cells that are drawn one by one");
    app.add_option("--python", python_,
                   "The Python that has cellmill[report] [$CELLMILL_PYTHON, or python3]")
        ->type_name("PROGRAM");
    app.add_flag_callback(
        "--overwrite", [this] { if_exists_ = IfExists::overwrite; }, "Replace a page that exists");
    app.footer(
        "Examples:\n"
        "  cellmill report pca.zarr -o report.html\n"
        "  cellmill report pca.h5ad -o report.html --obs cell_line drug --overwrite\n");
  }

  void run(const Session& session) override {
    nlohmann::json options = {{"path", input_},
                              {"output", output_},
                              {"cells", cells_},
                              {"overwrite", if_exists_ == IfExists::overwrite}};
    if (!obs_.empty()) options["obs"] = obs_;
    const nlohmann::json result = answer(options.dump());
    if (session.options.output == Output::json) {
      std::cout << result.dump() << '\n';
    } else {
      std::cout << fmt::format("written: {} ({})\n", output_,
                               human_bytes(result.at("bytes").get<std::int64_t>()));
    }
  }

 private:
  [[nodiscard]] nlohmann::json answer(const std::string& options) const {
    const std::vector<std::string> command = {python_, "-W", "ignore", "-c", program, options};
    std::string last;
    const ChildEnd end = run_child(command, {}, [&](std::string_view line) { last = line; });
    if (end.how == ChildEnd::How::not_started) {
      throw Error(Error::Kind::not_found, fmt::format("{} can't be started; --python names a "
                                                      "Python that has cellmill[report]",
                                                      python_));
    }
    nlohmann::json told = nlohmann::json::parse(last, nullptr, false);
    if (end.how != ChildEnd::How::exited || !told.is_object()) {
      throw Error(Error::Kind::io,
                  fmt::format("{}, which draws the report, ended with {} {}", python_,
                              end.how == ChildEnd::How::exited ? "status" : "signal", end.code));
    }
    if (told.contains("absent")) {
      throw Error(Error::Kind::not_found,
                  fmt::format("a report is drawn by Python, and {} lacks what it takes ({}): "
                              "pip install 'cellmill[report]' (in a checkout: '.[report]'), or "
                              "name another Python with --python",
                              python_, told["absent"].get<std::string>()));
    }
    if (told.contains("error")) {
      throw Error(kind_of(told["error"].value("kind", "")), told["error"].value("message", ""));
    }
    return told;
  }

  std::string input_;
  std::string output_;
  std::vector<std::string> obs_;
  std::int32_t cells_ = 10'000;
  std::string python_ = default_python();
  IfExists if_exists_ = IfExists::refuse;
};

}  // namespace

std::unique_ptr<Command> make_report_command() { return std::make_unique<ReportCommand>(); }

}  // namespace cellmill
