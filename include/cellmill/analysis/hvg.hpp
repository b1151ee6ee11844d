#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace cellmill {

enum class HvgFlavor { seurat, cell_ranger };
/// \throws Error(usage) naming the flavours there are
[[nodiscard]] HvgFlavor parse_hvg_flavor(const std::string& name);
[[nodiscard]] std::string hvg_flavor_name(HvgFlavor flavor);

/// Genes without a count: they take part with mean 1e-12, as in scanpy without `batch_key`, or they
/// are left out of the bins and come out as zeros, as in each batch of scanpy's `batch_key`.
enum class EmptyGenes { keep, drop };

/// Highly variable genes as scanpy's `flavor="seurat"` and `"cell_ranger"` define them
/// (docs/numerics.md).
struct HvgOptions {
  HvgFlavor flavor = HvgFlavor::seurat;
  std::int32_t n_top_genes = 2000;  ///< Ties with the last one are all taken, as scanpy does.
  std::int32_t n_bins = 20;         ///< Bins of mean expression; seurat only.
  EmptyGenes empty_genes = EmptyGenes::keep;
  std::string batch = {};  ///< whose cells they are, for the warning; empty: one batch only
};

/// Mean and variance (ddof 1) of each gene over the cells of one batch: of the normalised counts
/// for seurat (expm1 of the log data), of the log data for cell_ranger.
struct GeneMoments {
  std::int64_t n_cells = 0;
  std::vector<double> mean;
  std::vector<double> variance;
};

/// One row a gene, in the order of `var`.
struct HvgResult {
  std::vector<double> means;            ///< seurat: log1p of the mean
  std::vector<double> dispersions;      ///< seurat: log; NaN where the gene has no counts
  std::vector<float> dispersions_norm;  ///< NaN likewise
  std::vector<bool> highly_variable;
};

/// Chooses genes from per-gene moments; no data is read.
/// \throws Error(input) if fewer than two cells were counted, or a moment is not finite. More
/// n_top_genes than genes with a dispersion takes those all, with a warning
[[nodiscard]] HvgResult highly_variable_genes(const GeneMoments& moments,
                                              const HvgOptions& options = {});

/// scanpy's merge over batches (batch_key), used for `run`'s merged columns.
struct MergedHvg {
  std::vector<double> means;
  std::vector<double> dispersions;
  std::vector<float> dispersions_norm;
  std::vector<std::int32_t> n_batches;  ///< `highly_variable_nbatches`
  std::vector<bool> intersection;       ///< `highly_variable_intersection`
};
/// Means over batches, NaN skipped. \throws Error(input) if the batches differ in their number of
/// genes
[[nodiscard]] MergedHvg merge_hvg(std::span<const HvgResult> batches);

}  // namespace cellmill
