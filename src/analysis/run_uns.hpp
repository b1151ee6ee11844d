#pragma once

#include <string>

#include "analysis/choose_genes.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/analysis/run.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// var: the kept genes, with scanpy's merged columns.
void write_kept_genes(Group& root, const RunContext& run, const ChosenGenes& chosen);

/// varm/PCs and uns/pca.
void write_components(Group& root, const RunContext& run, const Components& components);

/// uns/hvg and uns/hvg_per_plate.
void write_hvg(Group& root, const RunContext& run, const ChosenGenes& chosen);

/// uns/cellmill: version, options, inputs, fingerprint, funnel, timeline.
void write_provenance(Group& root, const RunOptions& options, const std::string& fingerprint,
                      const RunSummary& summary);

}  // namespace cellmill
