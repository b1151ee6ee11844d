#include "analysis/choose_genes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "analysis/exchange.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

/// Mean and variance (ddof 1) of the genes in `genes`, of a batch: sums of x/c times T are sums of
/// normalised counts.
GeneMoments moments_of(const BatchSums& sums, double scale,
                       const std::vector<std::int32_t>& genes) {
  GeneMoments moments;
  moments.n_cells = sums.n_cells;
  const auto n = static_cast<double>(sums.n_cells);
  for (const std::int32_t gene : genes) {
    const auto g = static_cast<std::size_t>(gene);
    const double mean = scale * sums.sum[g] / n;
    const double mean_square = scale * scale * sums.sum_squares[g] / n;
    moments.mean.push_back(mean);
    moments.variance.push_back(n > 1 ? std::max(mean_square - mean * mean, 0.0) * n / (n - 1)
                                     : 0.0);
  }
  return moments;
}

/// The genes that a batch's cells can have: its plate's; with a batch key, all that the join
/// leaves.
std::vector<std::int32_t> genes_of_batch(const RunContext& run, std::int32_t batch) {
  if (run.options.batch_key) return kept_genes(run.inputs.genes, run.options.join);
  const auto of_plate = run.inputs.plates[static_cast<std::size_t>(batch)].gene;
  std::vector<std::int32_t> genes(of_plate.begin(), of_plate.end());
  std::sort(genes.begin(), genes.end());
  return genes;
}

/// A result for some genes, spread over all of them.
HvgResult spread(const HvgResult& some, const std::vector<std::int32_t>& genes,
                 std::int32_t n_genes) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<std::size_t>(n_genes);
  HvgResult all{std::vector<double>(n, nan), std::vector<double>(n, nan),
                std::vector<float>(n, std::numeric_limits<float>::quiet_NaN()),
                std::vector<bool>(n, false)};
  for (std::size_t i = 0; i < genes.size(); ++i) {
    const auto g = static_cast<std::size_t>(genes[i]);
    all.means[g] = some.means[i];
    all.dispersions[g] = some.dispersions[i];
    all.dispersions_norm[g] = some.dispersions_norm[i];
    all.highly_variable[g] = some.highly_variable[i];
  }
  return all;
}

/// Rank 0's part.
ChosenGenes choose(const RunContext& run, const Counts& counts,
                   const std::vector<BatchSums>& log_sums) {
  HvgOptions hvg;
  hvg.flavor = run.options.flavor;
  hvg.n_top_genes = run.options.n_top_genes;
  ChosenGenes chosen;
  for (std::int32_t b = 0; b < run.inputs.n_batches(); ++b) {
    const auto batch = static_cast<std::size_t>(b);
    const std::vector<std::int32_t> genes = genes_of_batch(run, b);
    const bool log_data = !log_sums.empty();
    const GeneMoments moments =
        log_data ? moments_of(log_sums[batch], 1.0, genes)
                 : moments_of(counts.batches[batch], counts.target_sums[batch], genes);
    hvg.batch = run.inputs.batches[batch];
    chosen.of_batch.push_back(with_context(run.inputs.batches[batch], [&] {
      return spread(highly_variable_genes(moments, hvg), genes, run.inputs.n_genes());
    }));
  }
  chosen.merged = merge_hvg(chosen.of_batch);

  const std::int32_t enough = min_plates(run.options, run.inputs.n_batches());
  for (const std::int32_t gene : kept_genes(run.inputs.genes, run.options.join)) {
    if (chosen.merged.n_batches[static_cast<std::size_t>(gene)] >= enough) {
      chosen.kept.push_back(gene);
    }
  }
  if (chosen.kept.empty()) {
    throw input_error(
        fmt::format("no gene was chosen in {} or more of {} batches; lower --min-plates or raise "
                    "--n-top-genes ({})",
                    enough, run.inputs.n_batches(), run.options.n_top_genes));
  }
  return chosen;
}

}  // namespace

std::int32_t min_plates(const RunOptions& options, std::int32_t n_batches) {
  return options.min_plates.value_or(std::min(3, n_batches));
}

ChosenGenes choose_genes(RunContext& run, const Counts& counts,
                         const std::vector<BatchSums>& log_sums) {
  ChosenGenes chosen;
  const Exchange exchange(run, "genes", Exchange::Within::last_pass);
  with_pulse(run.comm, [&](PulseControl&) {
    if (run.comm.rank() == 0) chosen = choose(run, counts, log_sums);
  });
  auto n_kept = static_cast<std::int64_t>(chosen.kept.size());
  run.comm.broadcast(std::as_writable_bytes(std::span(&n_kept, 1)), 0);
  chosen.kept.resize(static_cast<std::size_t>(n_kept));
  run.comm.broadcast(std::as_writable_bytes(std::span(chosen.kept)), 0);
  return chosen;
}

GeneSlots slots_of(const RunInputs& inputs, const std::vector<std::int32_t>& kept) {
  return {gene_slots(inputs.genes, kept), static_cast<std::int32_t>(kept.size())};
}

}  // namespace cellmill
