#include "cellmill/bench/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>
#include <vector>

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

/// The least of several, of both kinds of time.
struct Least {
  double seconds = std::numeric_limits<double>::infinity();
  double processor = std::numeric_limits<double>::infinity();
  template <class Body>
  void time(Body&& body) {
    const auto start = Clock::now();
    const double before = processor_seconds();
    body();
    seconds = std::min(seconds, seconds_since(start));
    processor = std::min(processor, processor_seconds() - before);
  }
};

struct Item : Fetched {
  explicit Item(Pool<FetchedRows>::Loan loan) : rows(std::move(loan)) {}
  Pool<FetchedRows>::Loan rows;
};

/// Reads every row of all sources, again and again with the same buffers.
class Reading {
 public:
  Reading(const ReadBenchOptions& options, Arena& arena, std::int64_t memory)
      : arena_(arena), budget_(memory) {
    std::vector<std::int64_t> rows;
    for (const auto& file : options.files) {
      sources_.push_back(AnnData::open(file));
      const MatrixSource& x = sources_.back()->x();
      if (!x.has_rows()) {
        throw input_error(fmt::format("{}: encoding {} found, bench read expects csr_matrix",
                                      x.location(), x.encoding()));
      }
      rows.push_back(x.n_rows());
    }
    segments_ = make_segments(rows);
    for (Segment& segment : segments_) {
      const std::vector<std::int64_t> indptr = x_of(segment).indptr(segment.rows);
      segment.nnz = indptr.back() - indptr.front();
    }
  }

  [[nodiscard]] std::span<const std::unique_ptr<AnnData>> sources() const { return sources_; }

  /// Returns the bytes fetched.
  std::int64_t once() {
    std::atomic<std::int64_t> bytes{0};
    Pass pass;
    pass.count = static_cast<std::int64_t>(segments_.size());
    pass.cost = [&](std::int64_t at) {
      const Segment& segment = segments_[static_cast<std::size_t>(at)];
      const MatrixSource::Cost cost = x_of(segment).cost(segment.rows, segment.nnz);
      return cost.encoded + cost.decoded;
    };
    pass.fetch = [&](std::int64_t at) {
      const Segment& segment = segments_[static_cast<std::size_t>(at)];
      auto item = std::make_unique<Item>(stored_.borrow());
      x_of(segment).fetch(segment.rows, *item->rows);
      bytes += item->rows->encoded_bytes();
      return item;
    };
    pass.process = [&](std::int64_t at, Fetched& fetched) {
      const auto chunk = chunks_.borrow();
      x_of(segments_[static_cast<std::size_t>(at)])
          .decode(*static_cast<Item&>(fetched).rows, *chunk);
    };
    pass.check = [] {
      if (stop_requested()) throw stopped_error("bench was stopped");
    };
    run_pass(pass, {arena_, budget_});
    return bytes;
  }

 private:
  [[nodiscard]] const MatrixSource& x_of(const Segment& segment) const {
    return sources_[static_cast<std::size_t>(segment.source)]->x();
  }

  Arena& arena_;
  MemoryBudget budget_;
  std::vector<std::unique_ptr<AnnData>> sources_;
  std::vector<Segment> segments_;
  Pool<FetchedRows> stored_;
  Pool<CsrChunk> chunks_;
};

/// Chunks of values and columns of all sources, about 256 MiB of them decoded, or fewer that take
/// `memory` encoded.
ChunkSample sample_of(std::span<const std::unique_ptr<AnnData>> sources, const ReadBench& bench,
                      std::int64_t memory) {
  const auto decoded_bytes = static_cast<double>(std::max<std::int64_t>(bench.decoded_bytes, 1));
  const auto stored_bytes = static_cast<double>(std::max<std::int64_t>(bench.stored_bytes, 1));
  const double share =
      std::min({1.0, 0x1p28 / decoded_bytes, static_cast<double>(memory) / stored_bytes});
  ChunkSample sample;
  for (const auto& source : sources) {
    const auto x = source->root().group("X");
    for (const char* name : {"data", "indices"}) {
      sample.add(x->array(name), share);
    }
  }
  return sample;
}

}  // namespace

ReadBench bench_read(const ReadBenchOptions& options, Arena& arena) {
  ReadBench bench;
  reset_peak_rss();
  const std::int64_t memory = buffer_limit(options.memory);
  Reading reading(options, arena, memory / 4 * 3);
  for (const auto& source : reading.sources()) {
    const MatrixSource& x = source->x();
    bench.cells += x.n_rows();
    bench.nonzeros += x.nnz();
    const auto group = source->root().group("X");
    for (const char* name : {"data", "indices"}) {
      const ArrayInfo info = group->array(name)->info();
      bench.decoded_bytes +=
          element_count(info) * static_cast<std::int64_t>(dtype_size(info.dtype));
      bench.codec = info.codecs;
    }
  }

  const auto warm = Clock::now();
  do {
    bench.stored_bytes = reading.once();
  } while (seconds_since(warm) < options.warmup);
  bench.peak_memory = peak_rss();

  // In turn, because machines get faster and slower: the ratio is what counts.
  const ChunkSample sample = sample_of(reading.sources(), bench, memory / 4);
  const double share = static_cast<double>(bench.decoded_bytes) /
                       static_cast<double>(std::max<std::int64_t>(sample.decoded_bytes(), 1));
  Least readings;
  Least limits;
  const auto begin = Clock::now();
  do {
    readings.time([&] { (void)reading.once(); });
    limits.time([&] { sample.decode(arena); });
  } while (seconds_since(begin) < options.seconds);
  bench.seconds = readings.seconds;
  bench.processor_seconds = readings.processor;
  bench.limit_seconds = share * limits.seconds;
  bench.limit_processor_seconds = share * limits.processor;
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
  text += fmt::format("{:.0f}% of the codec's limit ({:.0f}% in processor time)",
                      100 * bench.limit_seconds / bench.seconds,
                      100 * bench.limit_processor_seconds / bench.processor_seconds);
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
          {"processor_seconds", bench.processor_seconds},
          {"limit_processor_seconds", bench.limit_processor_seconds},
          {"peak_memory_gb", static_cast<double>(bench.peak_memory) / 1e9},
          {"peers", peers}};
}

}  // namespace cellmill
