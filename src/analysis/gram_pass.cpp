#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "analysis/exchange.hpp"
#include "analysis/pass_runner.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/compute/eigen.hpp"
#include "cellmill/compute/normalise.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/stream/packed_rows.hpp"

namespace cellmill {
namespace {

/// What the Gram matrix's scales and shifts need to know of each kept gene, from pass 1.
GramOptions gram_options(const RunContext& run, const Counts& counts,
                         const std::vector<std::int32_t>& genes) {
  GramOptions options;
  options.n_cells = run.plan.n_cells();
  const auto n = static_cast<double>(std::max<std::int64_t>(options.n_cells, 1));
  for (const std::int32_t gene : genes) {
    const auto g = static_cast<std::size_t>(gene);
    double max = 0;
    double log_sum = 0;
    double cells = 0;
    for (std::size_t b = 0; b < counts.batches.size(); ++b) {
      const BatchSums& batch = counts.batches[b];
      const double target = counts.target_sums[b];
      max = std::max(max, std::log1p(batch.max[g] * target));
      const auto with = static_cast<double>(batch.count[g]);
      // The mean of the logs is about the log of the mean among the cells that have the gene.
      if (with > 0) log_sum += with * std::log1p(batch.sum[g] / with * target);
      cells += with;
    }
    options.max_abs.push_back(max * (1 + 1e-6));  // values are rounded to float, the bound was not
    options.shift.push_back(log_sum / n);
    options.density.push_back(cells / n);
  }
  return options;
}

/// Covariance, eigenvectors, what follows from them. Rank 0.
Components solve(const GramAccumulator& gram, std::int64_t n_cells, std::int32_t k) {
  GramAccumulator::Covariance covariance = gram.covariance(n_cells);
  const auto n = static_cast<std::int64_t>(covariance.means.size());
  double total = 0;
  for (std::int64_t g = 0; g < n; ++g)
    total += covariance.matrix[static_cast<std::size_t>(g * n + g)];
  EigenPairs pairs = largest_eigenpairs(covariance.matrix, n, k);
  Components components;
  components.k = k;
  components.offset.assign(static_cast<std::size_t>(k), 0.0);
  for (std::int64_t g = 0; g < n; ++g) {
    for (std::int64_t c = 0; c < k; ++c) {
      components.offset[static_cast<std::size_t>(c)] +=
          covariance.means[static_cast<std::size_t>(g)] *
          pairs.vectors[static_cast<std::size_t>(g * k + c)];
    }
  }
  for (double& value : pairs.values)
    value = std::max(value, 0.0);  // rounding may leave −1e-17 of nothing
  components.variance = pairs.values;
  for (const double value : pairs.values)
    components.variance_ratio.push_back(total > 0 ? value / total : 0.0);
  components.loadings = std::move(pairs.vectors);
  return components;
}

void broadcast_doubles(Communicator& comm, std::vector<double>& values, std::size_t size) {
  values.resize(size);
  comm.broadcast(std::as_writable_bytes(std::span(values)), 0);
}

}  // namespace

std::unique_ptr<Backend> backend_for_gram(std::int64_t n_cells) {
  constexpr std::int64_t few_cells = 16384;
  return make_cpu_backend(n_cells <= few_cells ? CpuLevel::plain : CpuLevel::best);
}

Components gram_pass(RunContext& run, const Counts& counts, const std::vector<double>& factors,
                     const GeneSlots& slots, const std::vector<std::int32_t>& genes,
                     const BlobStore& cache, BlobStore& small,
                     std::vector<std::int64_t>& kept_nnz) {
  const SegmentReader reader(run.inputs, run.plan, &cache);
  const auto backend = backend_for_gram(run.plan.n_cells());
  const auto n = static_cast<std::int64_t>(genes.size());
  // Rank 0 also holds the covariance and what the solver needs while it solves.
  const std::int64_t triangle = n * (n + 1) / 2 * static_cast<std::int64_t>(sizeof(std::int64_t));
  const auto memory = run.budget.reserve(triangle, "the Gram matrix of the kept genes");
  const auto gram = backend->make_gram(gram_options(run, counts, genes));
  kept_nnz.assign(static_cast<std::size_t>(reader.count()), 0);
  log_debug(fmt::format("Gram matrix on {}", backend->name()));

  PassParts parts;
  parts.name = "gram";
  parts.segment_values = &kept_nnz;
  parts.save = [&](CheckpointWriter& file) { file.write<std::int64_t>("sums", gram->state()); };
  parts.absorb = [&](const CheckpointReader& file) {
    const std::span<std::int64_t> state = gram->state();
    const auto more = file.read<std::int64_t>("sums", state.size());
    std::transform(more.begin(), more.end(), state.begin(), state.begin(), std::plus<>());
  };
  PassCheckpoint checkpoint(run.checkpoint, run.plan, run.comm, std::move(parts));

  SegmentPass pass("pass 2 (Gram matrix)", reader, checkpoint);
  pass.extra_per_row = gram->scratch_bytes() / segment_rows;
  pass.process = [&](std::int64_t at, SegmentPass::Item& item) {
    const auto chunk = item.chunks.borrow();
    {
      const auto timed = item.clock.time(PassClock::Stage::decoding);
      reader.decode(at, *item.bytes, slots, *chunk);
      item.bytes.end();
    }
    kept_nnz[static_cast<std::size_t>(at)] = chunk->nnz();
    {
      const auto timed = item.clock.time(PassClock::Stage::writing);
      if (small.keeps()) small.put(at, pack_rows(*chunk));
    }
    const auto timed = item.clock.time(PassClock::Stage::computing);
    const auto begin = static_cast<std::size_t>(reader.cells(at).begin);
    normalise_log1p(chunk->indptr, chunk->values,
                    std::span(factors).subspan(begin, static_cast<std::size_t>(chunk->n_rows())));
    gram->add({chunk->indptr, chunk->indices, chunk->values, chunk->n_cols});
  };
  run_segments(run, pass);
  {
    const Exchange exchange(run, "Gram matrix", Exchange::Within::last_pass);
    run.comm.all_reduce_sum(gram->state());
  }

  const auto limit = static_cast<std::int32_t>(std::min<std::int64_t>(run.plan.n_cells(), n) - 1);
  Components components;
  components.k = run.options.n_comps.value_or(std::min(300, limit));
  PassClock clock(run.comm);
  with_pulse(run.comm, [&](PulseControl&) {
    if (run.comm.rank() != 0) return;
    const auto timed = clock.time(PassClock::Stage::computing);
    const auto more = run.budget.reserve(n * n * 8, "the covariance matrix of the kept genes");
    components = solve(*gram, run.plan.n_cells(), components.k);
  });
  {
    const Exchange exchange(run, "components", Exchange::Within::own_clock);
    const auto k = static_cast<std::size_t>(components.k);
    broadcast_doubles(run.comm, components.loadings, static_cast<std::size_t>(n) * k);
    broadcast_doubles(run.comm, components.variance, k);
    broadcast_doubles(run.comm, components.variance_ratio, k);
    broadcast_doubles(run.comm, components.offset, k);
  }
  run.timings.push_back(clock.timing("eigenvectors", 1));
  return components;
}

}  // namespace cellmill
