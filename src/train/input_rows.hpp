#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"
#include "cellmill/stream/segment.hpp"
#include "cellmill/train/dataset.hpp"
#include "train/gene_choice.hpp"
#include "train/source_matrix.hpp"

namespace cellmill {

/// Which cells and genes of which inputs; names as the program's options have them.
struct InputChoice {
  std::vector<std::filesystem::path> inputs;      ///< AnnData, in order
  std::string matrix = "X";                       ///< "X", "layers/NAME" or "raw/X"
  std::optional<std::string> filter;              ///< on obs, per input
  GeneJoin join = GeneJoin::inner;                ///< by gene name, in the first input's order
  std::optional<std::vector<std::string>> genes;  ///< these, in this order, instead of a join
  std::optional<std::string> gene_key;            ///< var column that names genes
};

/// What is read once from end to end, opened: which cells of which inputs, and which genes. A bit
/// for each cell is all that is held of the size of the cells.
class InputRows {
 public:
  /// Opens the inputs, matches their genes, evaluates the filter.
  /// \param check asked now and then; throws to stop
  /// \throws Error for what is wrong with an input, and if no cell or no gene is left
  InputRows(const InputChoice& choice, Arena& arena, const std::function<void()>& check);

  /// Sorts what the disk does not hold by rows (CSC, dense) into rows, in this folder.
  void prepare(const std::filesystem::path& scratch, Arena& arena);

  [[nodiscard]] const Dataset& data() const { return *data_; }
  [[nodiscard]] const MatrixSource& matrix(std::int32_t source) const {
    return *matrices_[static_cast<std::size_t>(source)];
  }
  /// Of the inputs: their files' stems.
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }
  [[nodiscard]] const GeneChoice& genes() const { return genes_; }
  [[nodiscard]] std::int32_t n_genes() const {
    return static_cast<std::int32_t>(genes_.names.size());
  }

  [[nodiscard]] const std::vector<Segment>& segments() const { return segments_; }
  [[nodiscard]] std::int64_t n_segments() const {
    return static_cast<std::int64_t>(segments_.size());
  }
  [[nodiscard]] const Segment& segment(std::int64_t at) const {
    return segments_[static_cast<std::size_t>(at)];
  }
  /// Of each row of a segment: whether it is kept.
  [[nodiscard]] const std::vector<bool>& keep(std::int64_t at) const {
    return keep_[static_cast<std::size_t>(at)];
  }
  /// Numbers of a segment's kept cells among all kept cells, in the order of the inputs.
  [[nodiscard]] Range kept(std::int64_t at) const {
    return {kept_before_[static_cast<std::size_t>(at)],
            kept_before_[static_cast<std::size_t>(at) + 1]};
  }
  /// The segment that holds a kept cell.
  [[nodiscard]] std::int64_t segment_of(std::int64_t kept_cell) const;
  [[nodiscard]] std::int64_t n_cells() const { return kept_before_.back(); }
  /// Stored values of the kept cells, of all genes.
  [[nodiscard]] std::int64_t stored_nonzeros() const { return stored_nonzeros_; }

 private:
  void filter_rows(const std::optional<std::string>& condition, Arena& arena,
                   const std::function<void()>& check);
  void count_nonzeros(Range segments);

  std::shared_ptr<const Dataset> data_;
  std::vector<SourceMatrix> matrices_;
  std::vector<std::string> names_;
  GeneChoice genes_;
  std::vector<Segment> segments_;
  std::vector<std::vector<bool>> keep_;
  std::vector<std::int64_t> kept_before_;
  std::vector<std::int64_t> kept_nonzeros_;  ///< stored ones, of each segment
  std::int64_t stored_nonzeros_ = 0;
};

}  // namespace cellmill
