#include "cellmill/bench/pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/bench/file_rates.hpp"
#include "cellmill/compute/kernel_rates.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/codec_rates.hpp"

namespace cellmill {
namespace {

constexpr double bytes_of_nonzero = sizeof(float) + sizeof(std::int32_t);

/// The sum of a rate over all ranks.
double over_ranks(Communicator& comm, double rate) {
  auto whole = static_cast<std::int64_t>(rate);
  comm.all_reduce_sum(std::span(&whole, 1));
  return std::max(1.0, static_cast<double>(whole));
}

/// Decoded bytes a second of the first plate's own chunks, values and columns alike.
double own_decode_rate(const RunOptions& options, Communicator& comm, Arena& arena,
                       std::int64_t memory) {
  const std::int64_t sample = std::min(memory, std::int64_t{128} << 20);
  const auto data = AnnData::open(options.plates.front());
  const auto x = data->root().group("X");
  const double values = decode_rate(arena, *x->array("data"), sample);
  const double columns = decode_rate(arena, *x->array("indices"), sample);
  return over_ranks(comm, 2 / (1 / values + 1 / columns));
}

/// What all passes but the first read: the scratch cache, written once and read once.
double scratch_bytes(const RunSummary& summary) {
  double bytes = 0;
  for (const RunSummary::Timing& timing : summary.timeline) {
    if (timing.pass != summary.timeline.front().pass) bytes += static_cast<double>(timing.bytes);
  }
  return bytes;
}

}  // namespace

PipelineBench bench_pipeline(const RunOptions& options, Communicator& comm, Arena& arena,
                             double mpi_start_seconds) {
  PipelineBench bench;
  bench.summary = run(options, comm, arena);
  bench.mpi_start_seconds = mpi_start_seconds;
  bench.seconds = bench.summary.seconds + mpi_start_seconds;

  trim_heap();
  const std::int64_t memory = buffer_limit(options.memory, comm.local_size());
  double raw_nonzeros = 0;
  for (const auto& plate : options.plates)
    raw_nonzeros += static_cast<double>(AnnData::open(plate)->x().nnz());
  const auto cells = static_cast<double>(bench.summary.n_cells);
  const double kept_nonzeros = static_cast<double>(bench.summary.nonzeros) / cells;  // a cell
  const auto backend = make_cpu_backend();
  KernelRateOptions kernels;
  kernels.raw_nonzeros = static_cast<std::int32_t>(raw_nonzeros / std::max(1.0, cells));
  constexpr double reference_nonzeros = 161;  // what the kernel rates are measured with
  const double density = kept_nonzeros / reference_nonzeros;

  bench.inflate_seconds =
      raw_nonzeros * bytes_of_nonzero / own_decode_rate(options, comm, arena, memory);
  const double scratch = scratch_bytes(bench.summary);
  const double output = cells * bench.summary.n_comps * static_cast<double>(sizeof(float));
  const FileRates file = file_rates(arena, options.output.parent_path(), memory);
  bench.copy_seconds = (scratch + output) / over_ranks(comm, file.write_bytes) +
                       scratch / over_ranks(comm, file.read_bytes);
  bench.moments_seconds = cells / over_ranks(comm, moments_rate(arena, kernels));
  bench.gram_seconds =
      cells / over_ranks(comm, gram_rate(arena, *backend, kernels)) * density * density;
  bench.projection_seconds =
      cells / over_ranks(comm, projection_rate(arena, *backend, kernels)) * density;
  bench.eigen_seconds =
      comm.rank() == 0 ? eigen_seconds(bench.summary.n_genes, bench.summary.n_comps) : 0;
  bench.seconds_of_limits = bench.inflate_seconds + bench.copy_seconds + bench.moments_seconds +
                            bench.gram_seconds + bench.projection_seconds + bench.eigen_seconds +
                            bench.mpi_start_seconds;
  return bench;
}

std::string pipeline_text(const PipelineBench& bench) {
  std::string text = summary_text(bench.summary) + "\nat this machine's limits:\n";
  const auto line = [&](const char* name, double seconds) {
    text += fmt::format("  {:<24} {:>8.3f} s\n", name, seconds);
  };
  line("inflate X once", bench.inflate_seconds);
  line("scratch and output files", bench.copy_seconds);
  line("per-gene sums", bench.moments_seconds);
  line("Gram matrix", bench.gram_seconds);
  line("projection", bench.projection_seconds);
  line("eigen-solve", bench.eigen_seconds);
  line("MPI start", bench.mpi_start_seconds);
  text +=
      fmt::format("  {:<24} {:>8.3f} s\nthe job took {:.3f} s: {:.2f} times its limits\n", "sum",
                  bench.seconds_of_limits, bench.seconds, bench.seconds / bench.seconds_of_limits);
  return text;
}

nlohmann::json pipeline_json(const PipelineBench& bench) {
  const auto cells = static_cast<double>(bench.summary.n_cells);
  std::int64_t peak = 0;
  for (const std::int64_t rank : bench.summary.peak_memory) peak += rank;
  return {{"cells_per_second", cells / bench.seconds},
          {"limit_cells_per_second", cells / bench.seconds_of_limits},
          {"ratio_to_limit", bench.seconds_of_limits / bench.seconds},
          {"peak_memory_gb", static_cast<double>(peak) / 1e9},
          {"seconds", bench.seconds},
          {"seconds_of_limits", bench.seconds_of_limits},
          {"parts",
           {{"inflate", bench.inflate_seconds},
            {"copy", bench.copy_seconds},
            {"moments", bench.moments_seconds},
            {"gram", bench.gram_seconds},
            {"projection", bench.projection_seconds},
            {"eigen", bench.eigen_seconds},
            {"mpi_start", bench.mpi_start_seconds}}},
          {"run", summary_json(bench.summary)}};
}

}  // namespace cellmill
