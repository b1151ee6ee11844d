#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/train/dataset.hpp"
#include "cellmill/train/loader.hpp"
#include "train/row_offsets.hpp"
#include "train/source_matrix.hpp"

namespace cellmill {

/// One matrix of the batches, over all sources: where its rows are, and which of their genes are
/// which columns of a batch.
class JoinedMatrix {
 public:
  /// Matrices that the disk does not hold by rows are sorted into rows first.
  /// \throws Error naming the source that lacks it, or the genes that match nothing
  JoinedMatrix(const Dataset& data, const std::string& name, const ReadOptions& options,
               Arena& arena);

  [[nodiscard]] std::int32_t n_cols() const { return static_cast<std::int32_t>(genes_.size()); }
  [[nodiscard]] const std::vector<std::string>& genes() const { return genes_; }
  [[nodiscard]] const MatrixSource& source(std::int32_t number) const {
    return *sources_[static_cast<std::size_t>(number)].matrix;
  }
  [[nodiscard]] const RowOffsets& offsets(std::int32_t number) const {
    return *sources_[static_cast<std::size_t>(number)].offsets;
  }
  /// Of each of a source's columns its column here, −1: left out; empty: the same.
  [[nodiscard]] std::span<const std::int32_t> slots(std::int32_t number) const {
    return sources_[static_cast<std::size_t>(number)].slots;
  }
  /// Whether columns that rise in a source do not rise here.
  [[nodiscard]] bool shuffles(std::int32_t number) const {
    return sources_[static_cast<std::size_t>(number)].shuffles;
  }
  /// Whether all sources hold their rows packed one by one, so that they can be decoded in any
  /// order.
  [[nodiscard]] bool packed() const { return packed_; }
  /// Whether rows keep all of their values: their lengths are known before they are decoded.
  [[nodiscard]] bool keeps_all() const { return keeps_all_; }
  /// Bytes on disk of a stored value, about.
  [[nodiscard]] double encoded_bytes_per_nonzero() const { return encoded_bytes_per_nonzero_; }
  /// Memory for what is known of every row.
  [[nodiscard]] std::int64_t standing_bytes() const;

 private:
  struct Source {
    SourceMatrix matrix;
    std::unique_ptr<RowOffsets> offsets;
    std::vector<std::int32_t> slots;
    bool shuffles = false;
  };
  std::vector<Source> sources_;
  std::vector<std::string> genes_;
  bool packed_ = true;
  bool keeps_all_ = true;
  double encoded_bytes_per_nonzero_ = 0;
};

}  // namespace cellmill
