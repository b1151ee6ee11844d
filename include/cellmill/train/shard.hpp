#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

/// How a training store keeps its counts (docs/formats.md, "The training store").
enum class StoreCodec {
  portable,  ///< blosc-lz4: any zarr-python reads it
  fast,      ///< rows packed one by one: zarr-python reads it where cellmill is installed
};

/// `portable`, `fast`
[[nodiscard]] std::string store_codec_name(StoreCodec codec);

enum class RowOrder { as_read, shuffled };

/// Options of `shard`; names and defaults as `cellmill shard --help` has them.
struct ShardOptions {
  std::vector<std::filesystem::path> inputs;  ///< AnnData, in order; names are the files' stems
  std::filesystem::path output;               ///< ends in .zarr

  StoreCodec codec = StoreCodec::portable;
  std::int64_t chunk_rows = 64;      ///< cells whose counts are compressed together, on average
  std::int64_t shard_rows = 65'536;  ///< cells in a file, on average

  RowOrder order = RowOrder::as_read;
  std::uint64_t seed = 0;  ///< of the shuffled order

  std::string matrix = "X";                       ///< "X", "layers/NAME" or "raw/X"
  std::optional<std::string> filter;              ///< on obs, per input (anndata/selection.hpp)
  std::optional<std::vector<std::string>> obs;    ///< columns; none: all
  GeneJoin join = GeneJoin::inner;                ///< by gene name, in the first input's order
  std::optional<std::vector<std::string>> genes;  ///< these, in this order, instead of a join
  std::optional<std::string> gene_key;            ///< var column that names genes
  std::string label = "plate";                    ///< obs column with the input's name
  std::string index_unique = "-";                 ///< index becomes NAME + this + input

  std::string scratch = "auto";  ///< of the shuffle: "auto" or a folder
  Resume resume = Resume::no;    ///< go on with what an interrupted run left
  IfExists if_exists = IfExists::refuse;
  std::int64_t memory = 0;  ///< bytes of resident memory; 0: 70% of the job's or node's
};

struct ShardSummary {
  std::filesystem::path output;
  std::int64_t cells_read = 0;
  std::int64_t n_cells = 0;
  std::int32_t n_genes = 0;
  std::int64_t nonzeros = 0;
  std::string value_dtype;
  std::string index_dtype;
  std::int64_t chunk_elements = 0;
  std::int64_t shards = 0;         ///< of each of the two large arrays
  std::int64_t resumed_cells = 0;  ///< that an earlier run had written
  std::int64_t bytes = 0;          ///< of X on disk
  std::int64_t peak_memory = 0;    ///< resident bytes
  double seconds = 0;
};

/// Writes a training store: one AnnData on sharded Zarr v3 of the cells and genes chosen, its
/// counts in the smallest type that holds them. Memory holds no shard, and no more of the shuffled
/// order than a bucket of cells.
/// \throws Error; then nothing stands under the output's name. Error(resumable) after a stop
/// request, Error(io) where the disk is full: what was written can be gone on with if whole shards
/// were
ShardSummary shard(const ShardOptions& options, Arena& arena);

/// Names of genes in a text file, one a line; what follows a tab is not part of the name.
/// \throws Error(not_found), Error(input) if there are none
[[nodiscard]] std::vector<std::string> read_gene_list(const std::filesystem::path& path);

/// For people, and for `--json`.
[[nodiscard]] std::string summary_text(const ShardSummary& summary);
[[nodiscard]] nlohmann::json summary_json(const ShardSummary& summary);

}  // namespace cellmill
