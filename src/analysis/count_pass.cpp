#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>

#include "analysis/exchange.hpp"
#include "analysis/median.hpp"
#include "analysis/pass_runner.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/compute/moments.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/progress.hpp"
#include "cellmill/stream/packed_rows.hpp"

namespace cellmill {
namespace {

/// One SegmentMoments for each task that runs at once, used again.
class MomentsPool {
 public:
  explicit MomentsPool(std::int32_t n_genes) : n_genes_(n_genes) {}
  std::unique_ptr<SegmentMoments> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<SegmentMoments>(n_genes_);
    auto moments = std::move(free_.back());
    free_.pop_back();
    return moments;
  }
  void give_back(std::unique_ptr<SegmentMoments> moments) {
    moments->clear();
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(moments));
  }

 private:
  std::int32_t n_genes_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<SegmentMoments>> free_;
};

/// Rows [rows) of a chunk.
CsrView view_of(const CsrChunk& chunk, Range rows) {
  const auto begin = static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(rows.begin)]);
  const auto size =
      static_cast<std::size_t>(chunk.indptr[static_cast<std::size_t>(rows.end)]) - begin;
  return {
      std::span(chunk.indptr)
          .subspan(static_cast<std::size_t>(rows.begin), static_cast<std::size_t>(rows.size()) + 1),
      std::span(chunk.indices).subspan(begin, size), std::span(chunk.values).subspan(begin, size),
      chunk.n_cols};
}

/// Runs of consecutive cells of the same batch.
std::vector<Range> runs_of_batches(std::span<const std::int32_t> batch) {
  std::vector<Range> runs;
  const auto n = static_cast<std::int64_t>(batch.size());
  for (std::int64_t begin = 0; begin < n;) {
    std::int64_t end = begin + 1;
    while (end < n &&
           batch[static_cast<std::size_t>(end)] == batch[static_cast<std::size_t>(begin)])
      ++end;
    runs.push_back({begin, end});
    begin = end;
  }
  return runs;
}

/// Per-gene sums of each batch on this rank, made when first needed.
class SumsOfBatches {
 public:
  SumsOfBatches(const RunInputs& inputs, int fraction_bits)
      : inputs_(inputs),
        fraction_bits_(fraction_bits),
        sums_(static_cast<std::size_t>(inputs.n_batches())) {}

  /// Adds a segment's tallies, given in the order of a plate's var.
  void add(std::int32_t batch, const Plate& plate, std::span<const GeneTally> tallies) {
    GeneSums& sums = of(batch);
    if (identity(plate)) {
      sums.add(tallies);
      return;
    }
    std::vector<GeneTally> placed(static_cast<std::size_t>(inputs_.n_genes()));
    for (std::size_t i = 0; i < tallies.size(); ++i)
      placed[static_cast<std::size_t>(plate.gene[i])] = tallies[i];
    sums.add(placed);
  }

  /// For checkpoints: a block of integers and one of maxima for each batch there is.
  void save(CheckpointWriter& file) const {
    for (std::size_t b = 0; b < sums_.size(); ++b) {
      if (!sums_[b]) continue;
      const GeneSums& sums = *sums_[b];
      file.write<std::int64_t>(fmt::format("sums {}", b), sums.integers());
      file.write<double>(fmt::format("maxima {}", b), sums.maxima());
    }
  }
  void absorb(const CheckpointReader& file) {
    for (std::int32_t batch = 0; batch < inputs_.n_batches(); ++batch) {
      const std::string block = fmt::format("sums {}", batch);
      if (!file.has(block)) continue;
      GeneSums& sums = of(batch);
      std::vector<std::int64_t> integers = sums.integers();
      const auto more = file.read<std::int64_t>(block, integers.size());
      std::transform(more.begin(), more.end(), integers.begin(), integers.begin(), std::plus<>());
      sums.from_integers(integers);
      const std::span<double> maxima = sums.maxima();
      const auto others = file.read<double>(fmt::format("maxima {}", batch), maxima.size());
      std::transform(others.begin(), others.end(), maxima.begin(), maxima.begin(),
                     [](double a, double b) { return std::max(a, b); });
    }
  }

  /// **Collective.** Sums over all ranks; frees the batch's state.
  BatchSums reduce(std::int32_t batch, std::int64_t n_cells, Communicator& comm) {
    GeneSums& sums = of(batch);
    std::vector<std::int64_t> integers = sums.integers();
    comm.all_reduce_sum(integers);
    sums.from_integers(integers);
    comm.all_reduce_max(sums.maxima());
    BatchSums reduced{n_cells, sums.sums(), sums.sums_of_squares(),
                      std::vector<double>(sums.maxima().begin(), sums.maxima().end()),
                      std::vector<std::int64_t>(sums.counts().begin(), sums.counts().end())};
    sums_[static_cast<std::size_t>(batch)].reset();
    return reduced;
  }

 private:
  GeneSums& of(std::int32_t batch) {
    const std::lock_guard lock(mutex_);
    auto& sums = sums_[static_cast<std::size_t>(batch)];
    if (!sums) sums = std::make_unique<GeneSums>(inputs_.n_genes(), fraction_bits_);
    return *sums;
  }
  [[nodiscard]] bool identity(const Plate& plate) const {
    if (static_cast<std::int32_t>(plate.gene.size()) != inputs_.n_genes()) return false;
    for (std::size_t i = 0; i < plate.gene.size(); ++i) {
      if (plate.gene[i] != static_cast<std::int32_t>(i)) return false;
    }
    return true;
  }

  const RunInputs& inputs_;
  int fraction_bits_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<GeneSums>> sums_;
};

/// Genes of the widest plate: what a segment's tallies need.
std::int32_t most_genes(const RunInputs& inputs) {
  std::int32_t most = 0;
  for (const Plate& plate : inputs.plates) most = std::max(most, plate.data->n_vars());
  return most;
}

/// Tallies of a chunk, batch by batch, added to the sums of each.
template <class Add>
void tally(const CsrChunk& chunk, std::span<const std::int32_t> batch, const Plate& plate,
           MomentsPool& pool, SumsOfBatches& sums, const Add& add) {
  const std::vector<Range> runs = runs_of_batches(batch);
  std::vector<std::int32_t> present;
  present.reserve(runs.size());
  for (const Range& run : runs) present.push_back(batch[static_cast<std::size_t>(run.begin)]);
  std::sort(present.begin(), present.end());
  present.erase(std::unique(present.begin(), present.end()), present.end());
  for (const std::int32_t one : present) {
    auto moments = pool.take();
    for (const Range& run : runs) {
      if (batch[static_cast<std::size_t>(run.begin)] == one)
        add(*moments, view_of(chunk, run), run);
    }
    sums.add(one, plate, moments->tallies().first(plate.gene.size()));
    pool.give_back(std::move(moments));
  }
}

PassParts parts_of(std::string name, SumsOfBatches& sums) {
  PassParts parts;
  parts.name = std::move(name);
  parts.save = [&sums](CheckpointWriter& file) { sums.save(file); };
  parts.absorb = [&sums](const CheckpointReader& file) { sums.absorb(file); };
  return parts;
}

/// **Collective.** Kept cells of each batch.
std::vector<std::int64_t> cells_of_batches(const RunContext& run) {
  std::vector<std::int64_t> cells(static_cast<std::size_t>(run.inputs.n_batches()), 0);
  for (const std::int32_t batch : run.plan.batch) ++cells[static_cast<std::size_t>(batch)];
  run.comm.all_reduce_sum(cells);
  return cells;
}

std::vector<BatchSums> reduce_all(RunContext& run, SumsOfBatches& sums) {
  const Exchange exchange(run, "gene sums", Exchange::Within::last_pass);
  const std::vector<std::int64_t> cells = cells_of_batches(run);
  std::vector<BatchSums> reduced;
  reduced.reserve(static_cast<std::size_t>(run.inputs.n_batches()));
  for (std::int32_t batch = 0; batch < run.inputs.n_batches(); ++batch) {
    reduced.push_back(sums.reduce(batch, cells[static_cast<std::size_t>(batch)], run.comm));
  }
  return reduced;
}

}  // namespace

Counts count_pass(RunContext& run, BlobStore& cache) {
  const SegmentReader reader(run.inputs, run.plan);
  Counts counts;
  counts.cell_sums.resize(run.plan.batch.size());
  SumsOfBatches sums(run.inputs, 96);
  MomentsPool moments(most_genes(run.inputs));

  PassParts parts = parts_of("counts", sums);
  parts.cell_values = &counts.cell_sums;
  PassCheckpoint checkpoint(run.checkpoint, run.plan, run.comm, std::move(parts));

  SegmentPass pass("pass 1 (counts)", reader, checkpoint);
  // Packing takes room for the most that may come out.
  if (cache.keeps()) pass.extra_per_nonzero = 2 * packed_bytes_per_nonzero;
  pass.process = [&](std::int64_t at, SegmentPass::Item& item) {
    const Plate& plate = reader.plate(at);
    const auto chunk = item.chunks.borrow();
    {
      const auto timed = item.clock.time(PassClock::Stage::decoding);
      reader.decode(at, *item.bytes, *chunk);
      item.bytes.end();
    }
    const auto begin = static_cast<std::size_t>(reader.cells(at).begin);
    const auto cells = static_cast<std::size_t>(chunk->n_rows());
    const std::span<double> cell_sums = std::span(counts.cell_sums).subspan(begin, cells);
    {
      const auto timed = item.clock.time(PassClock::Stage::computing);
      with_context(plate.data->x().location(), [&] {
        tally(*chunk, std::span(run.plan.batch).subspan(begin, cells), plate, moments, sums,
              [&](SegmentMoments& to, const CsrView& rows, Range which) {
                to.add_fractions(rows, cell_sums.subspan(static_cast<std::size_t>(which.begin),
                                                         static_cast<std::size_t>(which.size())));
              });
      });
    }
    const auto timed = item.clock.time(PassClock::Stage::writing);
    if (cache.keeps()) cache.put(at, pack_rows(*chunk));
  };
  run_segments(run, pass);
  counts.resumed_cells = run.plan.n_cells() - checkpoint.cells_of_all();

  counts.batches = reduce_all(run, sums);
  const Exchange exchange(run, "medians", Exchange::Within::last_pass);
  counts.target_sums =
      medians_of_positive(counts.cell_sums, run.plan.batch, run.inputs.n_batches(), run.comm);
  if (run.options.target_sum) {
    std::fill(counts.target_sums.begin(), counts.target_sums.end(), *run.options.target_sum);
  }
  return counts;
}

std::vector<double> cell_factors(const RunContext& run, const Counts& counts) {
  std::vector<double> factors(counts.cell_sums.size());
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const double target = counts.target_sums[static_cast<std::size_t>(run.plan.batch[i])];
    factors[i] = counts.cell_sums[i] > 0 ? target / counts.cell_sums[i] : 1.0;
  }
  return factors;
}

std::vector<BatchSums> log_pass(RunContext& run, const Counts& counts, const BlobStore& cache) {
  const SegmentReader reader(run.inputs, run.plan, &cache);
  const std::vector<double> factors = cell_factors(run, counts);
  SumsOfBatches sums(run.inputs, 80);
  MomentsPool moments(most_genes(run.inputs));

  PassCheckpoint checkpoint(run.checkpoint, run.plan, run.comm, parts_of("log", sums));

  SegmentPass pass("pass 1b (log moments)", reader, checkpoint);
  pass.process = [&](std::int64_t at, SegmentPass::Item& item) {
    const Plate& plate = reader.plate(at);
    const auto chunk = item.chunks.borrow();
    {
      const auto timed = item.clock.time(PassClock::Stage::decoding);
      reader.decode(at, *item.bytes, *chunk);
      item.bytes.end();
    }
    const auto begin = static_cast<std::size_t>(reader.cells(at).begin);
    const auto cells = static_cast<std::size_t>(chunk->n_rows());
    const auto timed = item.clock.time(PassClock::Stage::computing);
    tally(*chunk, std::span(run.plan.batch).subspan(begin, cells), plate, moments, sums,
          [&](SegmentMoments& to, const CsrView& rows, Range which) {
            to.add_log1p(rows,
                         std::span(factors).subspan(begin + static_cast<std::size_t>(which.begin),
                                                    static_cast<std::size_t>(which.size())));
          });
  };
  run_segments(run, pass);
  return reduce_all(run, sums);
}

}  // namespace cellmill
