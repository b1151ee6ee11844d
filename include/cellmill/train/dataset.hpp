#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/gene_join.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/train/obs_values.hpp"

namespace cellmill {

struct DatasetOptions {
  std::vector<std::filesystem::path> paths;  ///< AnnData, in order; as expand_paths gives them
  std::optional<std::string> gene_key;       ///< var column that names genes; otherwise the index
  GeneMap gene_map;                          ///< applied before genes are joined by name
};

/// The cells of one or many AnnData as one: rows are numbered over all of them, in the order of the
/// paths; genes are joined by name. Nothing of the size of the matrices is held. Thread-safe.
class Dataset {
 public:
  Dataset(const Dataset&) = delete;
  Dataset& operator=(const Dataset&) = delete;

  /// \throws Error naming the path, for what can't be opened and for genes that can't be joined
  [[nodiscard]] static std::shared_ptr<const Dataset> open(const DatasetOptions& options);

  [[nodiscard]] std::int64_t n_obs() const { return first_row_.back(); }
  [[nodiscard]] std::int32_t n_sources() const { return static_cast<std::int32_t>(data_.size()); }
  [[nodiscard]] const AnnData& source(std::int32_t number) const {
    return *data_[static_cast<std::size_t>(number)];
  }
  [[nodiscard]] std::vector<std::int64_t> rows_of_sources() const;
  /// The genes of X and the layers; of `raw/X`, which has a var of its own.
  [[nodiscard]] JoinedGenes genes(const std::string& matrix = "X") const;
  /// Of the names of genes and of what a matrix holds: its shape and elements here and there, as
  /// numbers, so that the same data have it in other files too. Reads a few chunks of each source.
  /// \throws Error naming the element that can't be read
  [[nodiscard]] std::uint64_t fingerprint(const std::string& matrix = "X") const;

  /// A row as a source's own.
  struct Place {
    std::int32_t source = 0;
    std::int64_t row = 0;
  };
  /// \throws Error(input) if there is no such row
  [[nodiscard]] Place place(std::int64_t row) const;
  /// Rows [begin, end) of all that a source holds.
  [[nodiscard]] Range rows_of_source(std::int32_t number) const;

  /// Names of the columns of obs in any source, in the order they are met.
  [[nodiscard]] std::vector<std::string> obs_columns() const;
  /// A column over all rows (docs/formats.md, "Joined obs"); text becomes categories.
  /// \throws Error(missing) naming the nearest columns, Error(input) for one that can't be read
  [[nodiscard]] std::shared_ptr<const ObsValues> obs(const std::string& column) const;
  /// Names of some cells, in the order asked.
  [[nodiscard]] Strings obs_names(std::span<const std::int64_t> rows) const;
  /// Rows that pass a condition on obs (selection.hpp), rising. \throws Error as Selection does
  [[nodiscard]] std::vector<std::int64_t> select(const std::string& condition) const;

 private:
  Dataset() = default;
  [[nodiscard]] std::vector<const DataFrame*> frames() const;

  std::vector<std::unique_ptr<AnnData>> data_;
  std::vector<std::int64_t> first_row_;  ///< of each source, and the end
  DatasetOptions options_;
};

}  // namespace cellmill
