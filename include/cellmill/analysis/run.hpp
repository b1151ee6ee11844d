#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/analysis/hvg.hpp"
#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

enum class WriteX { none, counts, lognorm };

/// Options of the main job; names and defaults as `cellmill run --help` has them.
struct RunOptions {
  std::vector<std::filesystem::path> plates;  ///< in order; names are the files' stems
  std::filesystem::path output;               ///< ends in .zarr or .h5ad

  std::optional<std::string> filter;    ///< on obs, per plate (anndata/selection.hpp)
  GeneJoin join = GeneJoin::inner;      ///< by gene name, in the first plate's order
  std::optional<std::string> gene_key;  ///< var column that names genes; otherwise the index
  std::optional<double> target_sum;  ///< counts a cell is scaled to; none: the median of its batch
  HvgFlavor flavor = HvgFlavor::seurat;
  std::int32_t n_top_genes = 2000;
  std::optional<std::string>
      batch_key;  ///< categorical obs column; otherwise the plates are the batches
  std::optional<std::int32_t>
      min_plates;                       ///< batches that must choose a gene; none: min(3, batches)
  std::optional<std::int32_t> n_comps;  ///< none: 300, or min(cells, genes) − 1 if that is less
  std::string label = "plate";          ///< obs column with the plate's name
  std::string index_unique = "-";       ///< index becomes NAME + this + plate
  WriteX write_x = WriteX::none;
  int zarr_format = 3;
  std::string scratch = "auto";      ///< "auto", "none" or a folder
  std::filesystem::path checkpoint;  ///< folder to go on from after an interruption; empty: none
  double checkpoint_seconds = 20;    ///< between checkpoints
  Resume resume = Resume::no;        ///< go on from `checkpoint`, if there is one
  IfExists if_exists = IfExists::refuse;
  /// Seconds that one read or write may take before the file system counts as hung.
  double io_timeout = 600;
  std::int64_t memory = 0;  ///< bytes of resident memory this rank may have; 0: 70% of its share
};

/// What came out, and how it went. The same on every rank but for nothing: timings are gathered on
/// rank 0 and valid there.
struct RunSummary {
  struct Plate {
    std::string name;
    std::int64_t cells_read = 0;
    std::int64_t cells_kept = 0;
    std::int64_t genes_with_counts = 0;
    std::int64_t genes_chosen = 0;
  };
  /// Seconds of one rank in one pass and the exchanges that follow it; `reading` etc. are summed
  /// over its threads, `communicating` is time on the clock in which the rank, done with its part,
  /// waited for others or exchanged sums with them.
  struct Timing {
    int rank = 0;
    std::string pass;
    double seconds = 0;
    double reading = 0;
    double decoding = 0;
    double computing = 0;
    double waiting = 0;
    double writing = 0;
    double communicating = 0;
    std::int64_t bytes = 0;
    std::int64_t cells = 0;
  };
  /// What ranks told each other of one thing, and what it cost one rank; none where there is one.
  struct Exchange {
    int rank = 0;
    std::string what;
    std::int64_t bytes = 0;  ///< that this rank brought
    double waiting = 0;      ///< seconds until all were there
    double moving = 0;       ///< seconds of the exchange itself
  };
  std::vector<Plate> plates;
  std::int64_t n_cells = 0;
  std::int32_t n_genes = 0;
  std::int32_t n_comps = 0;
  std::int64_t nonzeros = 0;  ///< of the kept genes, over all cells
  /// Cells that an earlier attempt had counted; all of them, and nothing else is told, if the
  /// output was finished before.
  std::int64_t resumed_cells = 0;
  double seconds = 0;
  std::vector<Timing> timeline;
  std::vector<Exchange> exchanges;
  std::vector<std::int64_t> peak_memory;  ///< bytes, of each rank
  std::filesystem::path output;
};

/// **Collective.** The main job: for each plate filter, normalise, log1p, highly variable genes;
/// the genes chosen in enough plates; all plates joined; PCA; one AnnData. Three passes over the
/// data: counts, Gram matrix, projection. Every rank throws the same Error if any rank fails; then
/// nothing stands under the output's name. A stop that was asked for is Error(resumable) where a
/// checkpoint says how far the run came.
RunSummary run(const RunOptions& options, Communicator& comm, Arena& arena);

/// What a run would do: cells, genes, bytes to read, memory, scratch, output size, estimated time.
/// Reads only metadata.
struct RunEstimate {
  std::vector<RunSummary::Plate> plates;  ///< cells_read only
  std::int64_t n_cells = 0;
  std::int64_t nnz = 0;
  std::int32_t n_genes = 0;        ///< before highly variable genes are chosen
  std::int64_t bytes_to_read = 0;  ///< compressed, of X
  std::int64_t memory = 0;         ///< a rank
  std::int64_t scratch = 0;        ///< over all ranks
  std::int64_t output = 0;         ///< X_pca and obs, about
  double seconds = 0;              ///< from typical rates of one core times all threads
};
/// **Collective**, but reads on rank 0 only; valid there.
RunEstimate estimate_run(const RunOptions& options, Communicator& comm, const Arena& arena);

/// For people, and for `--json`.
[[nodiscard]] std::string summary_text(const RunSummary& summary);
[[nodiscard]] nlohmann::json summary_json(const RunSummary& summary);
[[nodiscard]] std::string estimate_text(const RunEstimate& estimate);
[[nodiscard]] nlohmann::json estimate_json(const RunEstimate& estimate);

}  // namespace cellmill
