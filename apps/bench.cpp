#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/bench/limits.hpp"
#include "cellmill/bench/loader.hpp"
#include "cellmill/bench/pipeline.hpp"
#include "cellmill/bench/read.hpp"
#include "cellmill/comm/pulse.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/simulate/simulate.hpp"
#include "command.hpp"

namespace cellmill {
namespace {

/// A folder that goes with the benchmark. Made and removed by rank 0, its name known to all.
class BenchFolder {
 public:
  BenchFolder(Communicator& comm, const std::filesystem::path& beside) : comm_(comm) {
    std::string name = fmt::format("cellmill-bench-{}", getpid());
    broadcast_string(comm, name, 0);
    path_ = beside / name;
    if (comm.rank() == 0) std::filesystem::create_directories(path_);
  }
  ~BenchFolder() {
    std::error_code ignored;
    if (comm_.rank() == 0) std::filesystem::remove_all(path_, ignored);
  }
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  Communicator& comm_;
  std::filesystem::path path_;
};

class BenchCommand : public Command {
 public:
  [[nodiscard]] std::string name() const override { return "bench"; }
  [[nodiscard]] std::string summary() const override {
    return "What this machine can do, and how near to it cellmill comes";
  }
  [[nodiscard]] Launch launch() const override { return Launch::ranks; }

  void add_options(CLI::App& app) override {
    app.description(
        "limits: this machine's rates (inflate, blosc, copy, files, kernels, eigen-solve, MPI "
        "start).\n"
        "pipeline: the main job as a multiple of what its parts cost at those rates, in the same "
        "run.\n"
        "read: reading all of X against decoding the same chunks out of memory, and against h5py "
        "or "
        "zarr-python\nwhere `python3` (--python) has them.\n"
        "loader: batches for training, with nobody training; with pairs, controls count too.");
    app.add_option("what", what_, "limits, read, pipeline or loader")
        ->required()
        ->check(CLI::IsMember({"limits", "read", "pipeline", "loader"}));
    app.add_option("plates", plates_,
                   "read, pipeline, loader: plates to run on [4 x 20,000 simulated cells]")
        ->option_text("PLATE...");
    app.add_option("--filter", options_.filter, "As for run")->type_name("EXPR");
    app.add_option("--scratch", options_.scratch, "As for run [auto]")->type_name("auto|none|DIR");
    app.add_option("--folder", folder_, "Where plates and output are written, and removed from [.]")
        ->type_name("DIR");
    add_parsed(app, "--warmup", read_.warmup, parse_positive,
               "read, loader: seconds before anything counts [one reading; 1]")
        ->type_name("SECONDS");
    add_parsed(app, "--seconds", read_.seconds, parse_positive,
               "read, loader: seconds of reading [2]")
        ->type_name("SECONDS");
    app.add_option("--batch-size", loader_.batch_sizes, "loader: cells of a batch [64 4096]")
        ->type_name("N...");
    add_count<std::int64_t>(app, "--block", loader_.block, 1, "loader: rows read together");
    add_count<std::int64_t>(app, "--window", loader_.window, 1, "loader: rows shuffled together");
    app.add_option("--order", loader_.order,
                   "loader: shuffle, weighted, balanced, stratified or paired [shuffle]")
        ->check(CLI::IsMember({"shuffle", "weighted", "balanced", "stratified", "paired"}));
    app.add_option("--by", loader_.by, "loader: column of labels; pairs agree in it [cell_line]")
        ->type_name("COLUMN");
    app.add_option("--condition", loader_.condition, "loader, paired: column of conditions [drug]")
        ->type_name("COLUMN");
    app.add_option("--control", loader_.control, "loader, paired: that of controls [DMSO_TF]")
        ->type_name("NAME");
    app.add_option("--output", loader_.outputs,
                   "loader: csr, dense, geneformer, scgpt or rank_value; each beside csr [csr]")
        ->type_name("NAME...")
        ->check(CLI::IsMember({"csr", "dense", "geneformer", "scgpt", "rank_value"}));
    app.add_option("--vocab", loader_.vocabulary,
                   "loader: genes that have tokens, as `vocab` writes them [all, medians made up]")
        ->type_name("FILE");
    add_count<std::int32_t>(app, "--genes", genes_, 0,
                            "loader: only so many genes, spread evenly; 0: all");
    app.add_option("--python", read_.python, "read: the Python whose libraries are the peers")
        ->type_name("PROGRAM");
    app.footer(
        "Examples:\n"
        "  cellmill bench limits\n"
        "  cellmill bench read plate1.h5ad\n"
        "  cellmill bench loader store.zarr --batch-size 64 --window 8192\n"
        "  cellmill bench loader store.zarr --output geneformer scgpt --vocab genes.tsv\n"
        "  cellmill bench pipeline --threads 2\n"
        "  mpirun -n 2 --bind-to none cellmill bench pipeline plates --threads 1 --json\n");
  }

  void run(const Session& session) override {
    const bool json = session.options.output == Output::json;
    const bool speaks = session.comm.rank() == 0;
    if (what_ == "limits") {
      const MachineLimits limits = measure_limits(
          session.arena, folder_, buffer_limit(session.options.memory, session.comm.local_size()),
          session.mpi_start_seconds);
      if (speaks) std::cout << (json ? limits_json(limits).dump() + "\n" : limits_text(limits));
      return;
    }
    const BenchFolder folder(session.comm, folder_);
    options_.memory = session.options.memory;
    options_.output = folder.path() / "pca.zarr";
    options_.plates = plates_.empty() ? simulated(session, folder.path()) : expand_paths(plates_);
    if (what_ == "read") {
      if (session.comm.size() > 1) throw usage_error("bench read measures one rank");
      read_.files = options_.plates;
      read_.memory = session.options.memory;
      const ReadBench bench = bench_read(read_, session.arena);
      std::cout << (json ? read_json(bench).dump() + "\n" : read_text(bench));
      return;
    }
    if (what_ == "loader") {
      if (session.comm.size() > 1) throw usage_error("bench loader measures one process");
      const LoaderBench bench = bench_loader(loader_options(session));
      std::cout << (json ? loader_json(bench).dump() + "\n" : loader_text(bench));
      return;
    }
    reset_peak_rss();
    const PipelineBench bench =
        bench_pipeline(options_, session.comm, session.arena, session.mpi_start_seconds);
    if (speaks) std::cout << (json ? pipeline_json(bench).dump() + "\n" : pipeline_text(bench));
  }

 private:
  [[nodiscard]] LoaderBenchOptions loader_options(const Session& session) const {
    LoaderBenchOptions options = loader_;
    options.files = options_.plates;
    options.seconds = read_.seconds;
    if (read_.warmup > 0) options.warmup = read_.warmup;
    options.read.threads = session.arena.threads();
    const std::int64_t memory = buffer_limit(session.options.memory);
    options.read.memory =
        session.options.memory > 0 ? memory : std::min(options.read.memory, memory);
    if (genes_ > 0) {
      const std::vector<std::string> all = Dataset::open({options.files, {}, {}})->genes().names;
      const auto n = static_cast<std::int64_t>(all.size());
      const std::int64_t wanted = std::min<std::int64_t>(genes_, n);
      options.read.genes.emplace();
      for (std::int64_t i = 0; i < wanted; ++i) {
        options.read.genes->push_back(all[static_cast<std::size_t>(even_part(n, wanted, i).begin)]);
      }
    }
    return options;
  }

  static std::vector<std::filesystem::path> simulated(const Session& session,
                                                      const std::filesystem::path& folder) {
    SimulateOptions options;
    options.nnz = 1750;
    with_pulse(session.comm, [&](PulseControl&) {
      if (session.comm.rank() == 0) simulate_plates(folder, options, session.arena);
    });
    trim_heap();
    const std::vector<std::string> plates = {(folder / "plate*.h5ad").string()};
    return expand_paths(plates);
  }

  std::string what_;
  std::vector<std::string> plates_;
  std::filesystem::path folder_ = ".";
  RunOptions options_;
  ReadBenchOptions read_;
  LoaderBenchOptions loader_;
  std::int32_t genes_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_bench_command() { return std::make_unique<BenchCommand>(); }

}  // namespace cellmill
