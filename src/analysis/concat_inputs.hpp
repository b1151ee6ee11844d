#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/analysis/concat.hpp"
#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/gene_join.hpp"

namespace cellmill {

/// Columns of a joined matrix.
struct JoinedColumns {
  std::int32_t count = 0;
  std::vector<std::vector<std::int32_t>> slot;  ///< per source, of each of its columns: which of
                                                ///< them, or −1
};

/// One source's part of a joined matrix; neither pointer is set where the source lacks it.
struct MatrixPart {
  std::unique_ptr<MatrixSource> sparse;  ///< CSR or CSC
  std::unique_ptr<Array> dense;          ///< rows × columns

  [[nodiscard]] bool is_missing() const { return sparse == nullptr && dense == nullptr; }
  [[nodiscard]] DType dtype() const { return sparse ? sparse->dtype() : dense->info().dtype; }
  [[nodiscard]] std::int64_t n_cols() const {
    return sparse ? sparse->n_cols() : dense->info().shape[1];
  }
};

/// A matrix of the output: X, a layer, an element of obsm, raw's X.
struct JoinedMatrix {
  std::string name;
  bool sparse = false;  ///< CSR; what sources lack is 0. Otherwise an array, and it is NaN
  DType dtype = DType::float32;
  std::shared_ptr<const JoinedColumns> columns;
  std::vector<MatrixPart> parts;  ///< one a source
};

/// A dataframe in obsm; null where the source lacks it.
struct JoinedTable {
  std::string name;
  std::vector<std::unique_ptr<DataFrame>> frames;
};

/// Names of the genes of X, or of raw, and the index name that they share.
struct GeneAxis {
  Strings names;
  std::string index_name = "_index";
};

/// The plates of a concatenation, opened, and how their elements join.
struct ConcatInputs {
  std::vector<std::unique_ptr<AnnData>> plates;
  std::vector<std::string> keys;  ///< their names
  GeneAxis var;
  std::optional<GeneAxis> raw_var;  ///< if raw is joined
  std::vector<JoinedMatrix> matrices;
  std::vector<JoinedTable> tables;
  std::vector<std::string> left_out;  ///< `element: why`
  std::vector<std::string> warnings;

  [[nodiscard]] std::vector<std::int64_t> rows() const;  ///< of each plate
};

/// Opens the plates and all that is joined of them. Reads names, no cells.
/// \throws Error for what is wrong with a plate, for duplicate genes, for no gene in common
[[nodiscard]] ConcatInputs open_concat_inputs(const ConcatOptions& options);

/// The name that the indices of all frames have, if it is one, else `_index`.
[[nodiscard]] std::string common_index_name(const std::vector<const DataFrame*>& frames);

}  // namespace cellmill
