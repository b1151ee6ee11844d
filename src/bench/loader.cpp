#include "cellmill/bench/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "bench/loader_order.hpp"
#include "bench/loader_output.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/codec_rates.hpp"

namespace cellmill {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Takes batches for about so long.
void take(Loader& loader, double seconds, LoaderBench::Run& run) {
  const auto begin = Clock::now();
  const double processor_begin = processor_seconds();
  do {
    if (stop_requested()) throw stopped_error("bench was stopped");
    const std::shared_ptr<Batch> batch = loader.next();
    if (!batch) continue;
    run.cells += batch->n_rows();
    run.nonzeros += batch->matrices.front().nnz();
    for (const std::int32_t length : batch->tokens.lengths) run.tokens += length;
  } while (seconds_since(begin) < seconds);
  run.seconds = seconds_since(begin);
  run.processor_seconds = processor_seconds() - processor_begin;
}

LoaderBench::Run bench_batches(const LoaderBenchOptions& options, const std::string& output,
                               std::int64_t batch_size) {
  reset_peak_rss();
  const auto begin = Clock::now();
  const auto data = Dataset::open({options.files, std::nullopt, {}});
  const std::shared_ptr<const Order> order = bench_order(*data, options, batch_size);
  Loader loader(data, order, Tail::drop, bench_output(*data, options, output), {});
  LoaderBench::Run run;
  run.output = output;
  run.batch_size = batch_size;
  (void)loader.next();
  run.first_batch_seconds = seconds_since(begin);
  LoaderBench::Run warm;
  take(loader, options.warmup, warm);
  const ReadCounts before = loader.counts();
  take(loader, options.seconds, run);
  const ReadCounts after = loader.counts();
  run.bytes_fetched = after.bytes_fetched - before.bytes_fetched;
  run.rows_read_ratio = static_cast<double>(after.rows_read - before.rows_read) /
                        static_cast<double>(after.rows - before.rows);
  run.peak_memory = peak_rss();
  return run;
}

double cells_per_second(const LoaderBench::Run& run) {
  return static_cast<double>(run.cells) / run.seconds;
}

/// CSR first where there are others.
std::vector<std::string> outputs_of(const LoaderBenchOptions& options) {
  std::vector<std::string> outputs = options.outputs;
  const auto csr = std::find(outputs.begin(), outputs.end(), "csr");
  if (csr != outputs.end()) outputs.erase(csr);
  outputs.insert(outputs.begin(), "csr");
  return outputs;
}

}  // namespace

LoaderBench bench_loader(const LoaderBenchOptions& options) {
  LoaderBench bench;
  bench.order = options.order;
  for (const std::int64_t size : options.batch_sizes) {
    const std::size_t csr = bench.runs.size();
    for (const std::string& output : outputs_of(options)) {
      LoaderBench::Run run = bench_batches(options, output, size);
      if (bench.runs.size() > csr) {
        run.ratio_to_csr = cells_per_second(run) / cells_per_second(bench.runs[csr]);
      }
      bench.runs.push_back(std::move(run));
    }
  }
  bench.cells = Dataset::open({options.files, std::nullopt, {}})->n_obs();
  const auto& run = bench.runs.front();
  if (run.cells > 0 && run.nonzeros > 0) {
    Arena arena(options.read.threads);
    trim_heap();
    const double bytes_a_cell =
        8.0 * static_cast<double>(run.nonzeros) / static_cast<double>(run.cells);
    bench.limit_cells_per_second = copy_rate(arena, options.read.memory) / bytes_a_cell;
  }
  return bench;
}

std::string loader_text(const LoaderBench& bench) {
  std::string text = fmt::format("{} cells, order {}\n", grouped(bench.cells), bench.order);
  for (const auto& run : bench.runs) {
    text += fmt::format(
        "  batches of {:<6} {:<10} {:>12} cells/s, {:>4.2f} of csr  {:>10} a core's second  {:>8} "
        "batches/s, "
        "first after {}, {:.2f} rows read a row, {}/s fetched, peak memory {}\n",
        run.batch_size, run.output, grouped(static_cast<std::int64_t>(cells_per_second(run))),
        run.ratio_to_csr,
        grouped(static_cast<std::int64_t>(static_cast<double>(run.cells) / run.processor_seconds)),
        grouped(
            static_cast<std::int64_t>(cells_per_second(run) / static_cast<double>(run.batch_size))),
        human_seconds(run.first_batch_seconds), run.rows_read_ratio,
        human_bytes(
            static_cast<std::int64_t>(static_cast<double>(run.bytes_fetched) / run.seconds)),
        human_bytes(run.peak_memory));
  }
  if (bench.limit_cells_per_second > 0) {
    text += fmt::format("  copying as much out of the caches: {} cells/s\n",
                        grouped(static_cast<std::int64_t>(bench.limit_cells_per_second)));
  }
  return text;
}

nlohmann::json loader_json(const LoaderBench& bench) {
  nlohmann::json runs = nlohmann::json::array();
  double best = 0;
  std::int64_t peak = 0;
  for (const auto& run : bench.runs) {
    best = std::max(best, cells_per_second(run));
    peak = std::max(peak, run.peak_memory);
    runs.push_back({{"output", run.output},
                    {"batch_size", run.batch_size},
                    {"cells_per_second", cells_per_second(run)},
                    {"ratio_to_csr", run.ratio_to_csr},
                    {"tokens_per_second", static_cast<double>(run.tokens) / run.seconds},
                    {"seconds", run.seconds},
                    {"processor_seconds", run.processor_seconds},
                    {"first_batch_seconds", run.first_batch_seconds},
                    {"rows_read_ratio", run.rows_read_ratio},
                    {"bytes_fetched", run.bytes_fetched},
                    {"peak_memory_gb", static_cast<double>(run.peak_memory) / 1e9}});
  }
  return {{"cells", bench.cells},
          {"order", bench.order},
          {"runs", runs},
          {"cells_per_second", best},
          {"limit_cells_per_second", bench.limit_cells_per_second},
          {"ratio_to_limit",
           bench.limit_cells_per_second > 0 ? best / bench.limit_cells_per_second : 0},
          {"peak_memory_gb", static_cast<double>(peak) / 1e9},
          {"peers", nlohmann::json::object()}};
}

}  // namespace cellmill
