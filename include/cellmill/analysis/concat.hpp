#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/comm/communicator.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

/// Options of `cellmill concat`; names and defaults as its --help has them.
struct ConcatOptions {
  std::vector<std::filesystem::path> plates;  ///< in order
  std::filesystem::path output;               ///< ends in .zarr or .h5ad

  GeneJoin join = GeneJoin::inner;      ///< of genes, layers, obsm, and columns of obs
  std::optional<std::string> gene_key;  ///< var column that names genes; otherwise the index
  std::vector<std::string> keys;        ///< names of the plates; empty: their files' stems
  std::string label = "plate";          ///< obs column with the plate's name; empty: none
  std::string index_unique = "-";       ///< index becomes NAME + this + plate; empty: just NAME
  int zarr_format = 3;
  std::string scratch = "auto";  ///< "auto" or a folder, for matrices not stored by rows
  IfExists if_exists = IfExists::refuse;
  std::int64_t memory = 0;  ///< bytes of resident memory this rank may have; 0: 70% of its share
};

/// What came out; the same on every rank, but that peak memory is known on rank 0.
struct ConcatSummary {
  struct Plate {
    std::string name;
    std::int64_t n_cells = 0;
  };
  struct Matrix {
    std::string name;      ///< `X`, `layers/counts`, `obsm/X_pca` …
    std::string encoding;  ///< `csr_matrix` or `array`
    std::string dtype;
    std::int64_t n_cols = 0;
    std::int64_t stored = 0;  ///< values; of an array all
  };
  std::vector<Plate> plates;
  std::int64_t n_cells = 0;
  std::int32_t n_genes = 0;
  std::vector<Matrix> matrices;
  std::vector<std::string> left_out;  ///< elements that could not be joined, and why
  double seconds = 0;
  std::vector<std::int64_t> peak_memory;  ///< bytes, of each rank
  std::filesystem::path output;
};

/// **Collective.** Plates one after the other as one AnnData, as `anndata.concat` joins them
/// (docs/formats.md, "What concat writes"): genes by name, obs, layers, obsm and raw. Nothing of
/// the size of the cells is held. Every rank throws the same Error if any rank fails; then nothing
/// stands under the output's name.
ConcatSummary concat(const ConcatOptions& options, Communicator& comm, Arena& arena);

/// For people, and for `--json`.
[[nodiscard]] std::string summary_text(const ConcatSummary& summary);
[[nodiscard]] nlohmann::json summary_json(const ConcatSummary& summary);

}  // namespace cellmill
