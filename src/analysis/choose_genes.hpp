#pragma once

#include <cstdint>
#include <vector>

#include "analysis/run_passes.hpp"
#include "cellmill/analysis/hvg.hpp"

namespace cellmill {

/// Which genes go on, and why. `kept` is the same on every rank, the rest is on rank 0 only.
struct ChosenGenes {
  std::vector<std::int32_t> kept;  ///< places in RunInputs::genes.names, rising
  std::vector<HvgResult>
      of_batch;      ///< all genes of all plates; NaN where a batch's plates lack the gene
  MergedHvg merged;  ///< likewise
};

/// **Collective.** Highly variable genes of each batch on rank 0, and those that enough batches
/// chose. \param log_sums sums of the log data, for cell_ranger; empty for seurat \throws
/// Error(input) if no gene is left, saying which option would change that
[[nodiscard]] ChosenGenes choose_genes(RunContext& run, const Counts& counts,
                                       const std::vector<BatchSums>& log_sums);

/// Batches that must choose a gene.
[[nodiscard]] std::int32_t min_plates(const RunOptions& options, std::int32_t n_batches);

/// Where each plate's genes stand among the kept ones.
[[nodiscard]] GeneSlots slots_of(const RunInputs& inputs, const std::vector<std::int32_t>& kept);

}  // namespace cellmill
