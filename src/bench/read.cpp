#include "cellmill/bench/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/read_peers.hpp"
#include "cellmill/anndata/anndata.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/stop.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/codec_rates.hpp"
#include "cellmill/stream/pipeline.hpp"
#include "cellmill/stream/pool.hpp"
#include "cellmill/stream/segment.hpp"

namespace cellmill {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

struct Item : Fetched {
  explicit Item(Pool<FetchedRows>::Loan loan) : rows(std::move(loan)) {}
  Pool<FetchedRows>::Loan rows;
};

/// Reads every row of all sources once; returns the bytes fetched.
std::int64_t read_once(const std::vector<std::unique_ptr<AnnData>>& sources,
                       const std::vector<Segment>& segments, Arena& arena, MemoryBudget& budget) {
  Pool<FetchedRows> stored;
  Pool<CsrChunk> chunks;
  std::atomic<std::int64_t> bytes{0};
  const auto x_of = [&](std::int64_t at) -> const MatrixSource& {
    const Segment& segment = segments[static_cast<std::size_t>(at)];
    return sources[static_cast<std::size_t>(segment.source)]->x();
  };
  Pass pass;
  pass.count = static_cast<std::int64_t>(segments.size());
  pass.cost = [&](std::int64_t at) {
    const Segment& segment = segments[static_cast<std::size_t>(at)];
    const MatrixSource::Cost cost = x_of(at).cost(segment.rows, segment.nnz);
    return cost.encoded + cost.decoded;
  };
  pass.fetch = [&](std::int64_t at) {
    auto item = std::make_unique<Item>(stored.borrow());
    x_of(at).fetch(segments[static_cast<std::size_t>(at)].rows, *item->rows);
    bytes += item->rows->encoded_bytes();
    return item;
  };
  pass.process = [&](std::int64_t at, Fetched& fetched) {
    const auto chunk = chunks.borrow();
    x_of(at).decode(*static_cast<Item&>(fetched).rows, *chunk);
  };
  pass.check = [] {
    if (stop_requested()) throw stopped_error("bench was stopped");
  };
  run_pass(pass, {arena, budget});
  return bytes;
}

}  // namespace

ReadBench bench_read(const ReadBenchOptions& options, Arena& arena) {
  ReadBench bench;
  std::vector<std::unique_ptr<AnnData>> sources;
  std::vector<std::int64_t> rows;
  double limit_seconds = 0;
  for (const auto& file : options.files) {
    sources.push_back(AnnData::open(file));
    const MatrixSource& x = sources.back()->x();
    if (!x.has_rows()) {
      throw input_error(fmt::format("{}: encoding {} found, bench read expects csr_matrix",
                                    x.location(), x.encoding()));
    }
    rows.push_back(x.n_rows());
    bench.cells += x.n_rows();
    bench.nonzeros += x.nnz();
  }
  std::vector<Segment> segments = make_segments(rows);
  for (Segment& segment : segments) {
    const std::vector<std::int64_t> indptr =
        sources[static_cast<std::size_t>(segment.source)]->x().indptr(segment.rows);
    segment.nnz = indptr.back() - indptr.front();
  }

  reset_peak_rss();
  MemoryBudget budget(options.memory > 0 ? options.memory : available_memory() / 10 * 7);
  const auto warm = Clock::now();
  do {
    bench.stored_bytes = read_once(sources, segments, arena, budget);
  } while (seconds_since(warm) < options.warmup);
  const auto begin = Clock::now();
  bench.seconds = std::numeric_limits<double>::infinity();
  do {
    const auto reading = Clock::now();
    (void)read_once(sources, segments, arena, budget);
    bench.seconds = std::min(bench.seconds, seconds_since(reading));
  } while (seconds_since(begin) < options.seconds);
  bench.peak_memory = peak_rss();

  constexpr std::int64_t sample = std::int64_t{128} << 20;
  for (const auto& source : sources) {
    const auto x = source->root().group("X");
    for (const char* name : {"data", "indices"}) {
      const auto array = x->array(name);
      const std::int64_t bytes =
          element_count(array->info()) * static_cast<std::int64_t>(dtype_size(array->info().dtype));
      bench.decoded_bytes += bytes;
      bench.codec = array->info().codecs;
      if (bytes == 0) continue;
      limit_seconds += static_cast<double>(bytes) / decode_rate(arena, *array, sample, 0.25);
    }
  }
  bench.limit_seconds = limit_seconds;
  bench.peers = read_by_python(options.files, options.python);
  return bench;
}

std::string read_text(const ReadBench& bench) {
  const auto line = [&](const std::string& name, double seconds) {
    return fmt::format(
        "  {:<28} {:>8.3f} s {:>12}/s {:>14} cells/s\n", name, seconds,
        human_bytes(static_cast<std::int64_t>(static_cast<double>(bench.decoded_bytes) / seconds)),
        grouped(static_cast<std::int64_t>(static_cast<double>(bench.cells) / seconds)));
  };
  std::string text =
      fmt::format("X of {} cells, {} non-zeros, {} stored ({}), {} decoded\n", grouped(bench.cells),
                  grouped(bench.nonzeros), human_bytes(bench.stored_bytes), bench.codec,
                  human_bytes(bench.decoded_bytes));
  text += line("cellmill", bench.seconds);
  text += line("the codec alone, in memory", bench.limit_seconds);
  for (const auto& [name, seconds] : bench.peers) text += line(name, seconds);
  text += fmt::format("{:.0f}% of the codec's limit", 100 * bench.limit_seconds / bench.seconds);
  for (const auto& [name, seconds] : bench.peers) {
    text += fmt::format(", {:.1f} times {}", seconds / bench.seconds, name);
  }
  return text + fmt::format("; peak memory {}\n", human_bytes(bench.peak_memory));
}

nlohmann::json read_json(const ReadBench& bench) {
  const auto rate = [&](double seconds) { return static_cast<double>(bench.cells) / seconds; };
  nlohmann::json peers = nlohmann::json::object();
  for (const auto& [name, seconds] : bench.peers) peers[name] = rate(seconds);
  return {{"cells", bench.cells},
          {"nonzeros", bench.nonzeros},
          {"stored_bytes", bench.stored_bytes},
          {"decoded_bytes", bench.decoded_bytes},
          {"codec", bench.codec},
          {"seconds", bench.seconds},
          {"cells_per_second", rate(bench.seconds)},
          {"limit_cells_per_second", rate(bench.limit_seconds)},
          {"ratio_to_limit", bench.limit_seconds / bench.seconds},
          {"peak_memory_gb", static_cast<double>(bench.peak_memory) / 1e9},
          {"peers", peers}};
}

}  // namespace cellmill
