#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "analysis/segment_plan.hpp"
#include "cellmill/analysis/run.hpp"
#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/anndata/selection.hpp"
#include "cellmill/comm/pulse.hpp"

namespace cellmill {

/// One input file, with where its genes and batches stand among all.
struct Plate {
  std::string name;  ///< the file's stem
  std::unique_ptr<AnnData> data;
  std::span<const std::int32_t> gene;  ///< of each var row: its place in RunInputs::genes.names
  std::vector<std::int32_t>
      batch_level;  ///< with --batch-key: of each level, its place in RunInputs::batches
};

/// The plates of a run, opened, and the names they share.
struct RunInputs {
  std::vector<Plate> plates;
  JoinedGenes genes;
  std::vector<std::string> batches;  ///< plate names, or the levels of the batch key
  std::optional<Selection> filter;

  [[nodiscard]] std::int32_t n_genes() const { return genes.n_genes(); }
  [[nodiscard]] std::int32_t n_batches() const { return static_cast<std::int32_t>(batches.size()); }
};

/// Opens the plates and matches their genes. Reads no cells. Only rank 0 logs what it notices.
/// \throws Error for what is wrong with a plate, for duplicate genes where names must join, for no
/// gene in common
[[nodiscard]] RunInputs open_inputs(const RunOptions& options, int rank);

/// Which cells are kept, and who reads which. Segments of all ranks; masks of this rank's only.
struct CellPlan : SegmentPlan {
  std::vector<std::int64_t>
      kept_before;  ///< of each segment (and at the end): cells kept in the ones before
  std::vector<std::int64_t> read_of_batch;  ///< cells of each batch over all ranks, kept or not
  std::vector<std::vector<bool>> keep;      ///< of each of mine, each row
  std::vector<std::int32_t> batch;          ///< of each kept cell of mine, in order

  [[nodiscard]] std::int64_t n_cells() const { return kept_before.back(); }
  /// Kept cells of segment `at` (numbered over all), as output rows.
  [[nodiscard]] Range rows_of_segment(std::int64_t at) const {
    return {kept_before[static_cast<std::size_t>(at)],
            kept_before[static_cast<std::size_t>(at) + 1]};
  }
  /// Output rows of every rank.
  [[nodiscard]] std::vector<Range> rows_of_ranks() const;
  /// Cells read of a plate, kept or not, and cells kept.
  [[nodiscard]] std::int64_t kept_of_plate(std::int32_t plate) const;
};

/// **Collective.** Non-zeros of every segment (each rank looks at an even part of the offsets),
/// shards from them, the filter on this rank's cells.
[[nodiscard]] CellPlan plan_cells(const RunInputs& inputs, const RunOptions& options,
                                  Communicator& comm, Arena& arena);

/// Sorts this rank's rows of the plates whose X is not stored by rows (CSC, dense), and counts
/// their non-zeros anew. Not collective: under the pulse. \param folder of scratch; empty: none
void prepare_rows(const RunInputs& inputs, const std::filesystem::path& folder, CellPlan& plan,
                  Arena& arena);

/// Which rows of [rows) of a plate are kept: they pass the filter, and have a batch if there is a
/// batch key.
[[nodiscard]] std::vector<bool> kept_rows(const RunInputs& inputs, const Plate& plate, Range rows,
                                          const RunOptions& options);

}  // namespace cellmill
