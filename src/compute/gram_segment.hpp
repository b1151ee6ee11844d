#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/core/raw_vector.hpp"
#include "cpu_kernels.hpp"
#include "gram_plan.hpp"

namespace cellmill {

/// One segment rearranged for the kernels, with the buffers for it; used again for the next
/// segment, because fresh pages cost more than the work on them.
///
/// `load` splits each row into a row of the dense tile, its cold genes (in order) and its hot ones.
/// `transpose` then makes the gene-major entries of one band of rows of the Gram matrix at a time:
/// for the whole segment they would fall out of L2 and each scattered store would miss.
class GramSegment {
 public:
  /// Positions whose hot entries are kept together; a band lies within one such group or is cold.
  static constexpr std::int32_t kBandRows = 512;

  explicit GramSegment(const GramPlan& plan);

  /// \throws Error(input) if a value is not finite or above its gene's maximum
  void load(const CsrView& segment);

  /// Makes `entries` valid for positions [begin, end). Bands come in rising order after a load;
  /// none has both cold and hot genes, none more than kBandRows.
  void transpose(std::int64_t begin, std::int64_t end);

  /// Non-zeros of the gene at `position`, cells rising; those in one tile's rows.
  [[nodiscard]] std::span<const GramEntry> entries(std::int64_t position) const {
    return between(bound(0, position), bound(n_tiles_, position));
  }
  [[nodiscard]] std::span<const GramEntry> entries(std::int64_t position, std::int64_t tile) const {
    return between(bound(tile, position), bound(tile + 1, position));
  }
  [[nodiscard]] std::int64_t n_tiles() const { return n_tiles_; }

  /// Row 0 of the dense hot genes, centred and scaled; `tile_stride` floats a row.
  [[nodiscard]] const float* tile() const { return tile_.data(); }
  [[nodiscard]] std::int64_t tile_stride() const { return tile_stride_; }
  [[nodiscard]] std::int64_t tile_width() const { return tile_width_; }
  [[nodiscard]] ColdLists cold() const {
    return {cold_positions_.data(), cold_values_.data(), cold_begins_.data(), cold_ends_.data()};
  }

  [[nodiscard]] std::int64_t bytes() const;

 private:
  /// A hot gene's non-zero, before it is put with its gene.
  struct HotEntry {
    float value;
    std::uint16_t cell;
    std::uint16_t slot;
  };

  [[nodiscard]] std::uint32_t bound(std::int64_t tile, std::int64_t position) const {
    return bounds_[static_cast<std::size_t>(tile * kBandRows + position - band_begin_)];
  }
  [[nodiscard]] std::span<const GramEntry> between(std::uint32_t begin, std::uint32_t end) const {
    return {entries_.data() + begin, end - begin};
  }
  void make_room(std::int64_t rows, std::int64_t nnz);
  [[nodiscard]] bool split_row(const CsrView& segment, std::int64_t row);
  void transpose_cold(std::int64_t tile, std::int64_t end);
  void transpose_hot(std::int64_t tile);

  const GramPlan& plan_;
  std::int64_t rows_ = 0;
  std::int64_t tile_width_;   ///< hot genes, rounded up to a vector
  std::int64_t tile_stride_;  ///< the width and a column for what is not hot
  std::int64_t tile_rows_;    ///< cells of the tile that are worked on together
  std::int64_t n_tiles_ = 0;
  std::vector<float> empty_tile_row_;
  RawVector<float> tile_;

  RawVector<std::uint16_t> cold_positions_;
  RawVector<float> cold_values_;
  std::vector<std::uint32_t> cold_begins_;  ///< a cell
  std::vector<std::uint32_t> cold_ends_;
  std::vector<std::uint32_t> cold_next_;  ///< the first that no band has had yet
  std::uint32_t cold_size_ = 0;

  std::int64_t n_groups_;                  ///< of hot genes, and one for what is not hot
  RawVector<HotEntry> hot_;                ///< groups × room
  std::int64_t hot_room_ = 0;              ///< of a group
  std::vector<std::uint32_t> hot_sizes_;   ///< a group
  std::vector<std::uint32_t> hot_bounds_;  ///< (tiles + 1) × groups

  std::vector<std::uint32_t> counts_;  ///< non-zeros by position
  std::int64_t band_begin_ = 0;
  RawVector<GramEntry> entries_;
  std::vector<std::uint32_t> cursors_;  ///< of the band's positions
  std::vector<std::uint32_t> bounds_;   ///< (tiles + 1) × kBandRows
};

}  // namespace cellmill
