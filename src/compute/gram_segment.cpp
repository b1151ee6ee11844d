#include "gram_segment.hpp"

#include <algorithm>
#include <cmath>

namespace cellmill {

namespace {

constexpr std::int64_t kVector = 16;
constexpr std::uint32_t kGroup = 4;  // cold lists are padded to it
/// A part of the tile stays in half of a 1 MB L2; runs of so few cells also lose little in single
/// precision.
constexpr std::int64_t kTileBytes = 512 * 1024;
constexpr std::int64_t kMostTileRows = 500;

std::int64_t rows_of_tile(std::int64_t stride) {
  const std::int64_t fit = kTileBytes / (stride * static_cast<std::int64_t>(sizeof(float)));
  const std::int64_t tiles = (kSegmentRows + fit - 1) / fit;
  return std::min(kMostTileRows, (kSegmentRows + tiles - 1) / tiles);
}

}  // namespace

GramSegment::GramSegment(const GramPlan& plan)
    : plan_(plan),
      tile_width_((plan.n_hot + kVector - 1) / kVector * kVector),
      tile_stride_(tile_width_ + kVector),
      tile_rows_(rows_of_tile(tile_stride_)),
      empty_tile_row_(static_cast<std::size_t>(tile_stride_), 0.0F),
      cold_begins_(kSegmentRows),
      cold_ends_(kSegmentRows),
      cold_next_(kSegmentRows),
      n_groups_(tile_width_ / kBandRows + 1),
      hot_sizes_(static_cast<std::size_t>(n_groups_)),
      counts_(static_cast<std::size_t>(plan.n_genes)),
      cursors_(kBandRows) {
  for (const GramPlan::Gene& gene : plan.genes) {
    if (gene.slot < tile_width_) empty_tile_row_[gene.slot] = 0.0F - gene.shift;
  }
  tile_.resize(static_cast<std::size_t>(kSegmentRows * tile_stride_));
}

void GramSegment::load(const CsrView& segment) {
  rows_ = segment.n_rows();
  n_tiles_ = (rows_ + tile_rows_ - 1) / tile_rows_;
  make_room(rows_, segment.nnz());
  std::fill(counts_.begin(), counts_.end(), 0);
  std::fill(hot_sizes_.begin(), hot_sizes_.end(), 0);
  cold_size_ = 0;
  bool good = true;
  for (std::int64_t row = 0; row < rows_; ++row) {
    if (row % tile_rows_ == 0) {
      std::copy(hot_sizes_.begin(), hot_sizes_.end(),
                hot_bounds_.begin() + row / tile_rows_ * n_groups_);
    }
    good = split_row(segment, row) && good;
  }
  if (!good) plan_.throw_bad_value(segment);
  std::copy(hot_sizes_.begin(), hot_sizes_.end(), hot_bounds_.begin() + n_tiles_ * n_groups_);
  std::copy(cold_begins_.begin(), cold_begins_.begin() + rows_, cold_next_.begin());
}

void GramSegment::make_room(std::int64_t rows, std::int64_t nnz) {
  const auto grow = [](auto& vector, std::int64_t size) {
    if (static_cast<std::int64_t>(vector.size()) < size) {
      vector.resize(static_cast<std::size_t>(size));
    }
  };
  // Room for the padding of every row, and for a last entry that is written in vain.
  const std::int64_t cold_room = nnz + rows * (kGroup - 1) + 1;
  grow(cold_positions_, cold_room);
  grow(cold_values_, cold_room);
  const std::int64_t hot_room = std::min(nnz, rows * kBandRows) + 1;
  if (hot_room > hot_room_) {
    hot_room_ = hot_room;
    hot_.resize(static_cast<std::size_t>(n_groups_ * hot_room_));
  }
  grow(hot_bounds_, (n_tiles_ + 1) * n_groups_);
  grow(bounds_, (n_tiles_ + 1) * kBandRows);
}

/// False if a value is out of range. There are no branches on whether a gene is hot, which nobody
/// could predict: both places are written, the wrong one in vain.
bool GramSegment::split_row(const CsrView& segment, std::int64_t row) {
  const auto at = static_cast<std::size_t>(row);
  const std::int64_t begin = segment.indptr[at] - segment.indptr[0];
  const std::int64_t end = segment.indptr[at + 1] - segment.indptr[0];
  const std::int32_t* indices = segment.indices.data();
  const float* values = segment.values.data();
  const GramPlan::Gene* genes = plan_.genes.data();
  const std::int32_t n_cold = plan_.n_cold;
  std::uint32_t* counts = counts_.data();
  std::uint32_t* hot_sizes = hot_sizes_.data();
  HotEntry* hot = hot_.data();
  const std::int64_t hot_room = hot_room_;
  std::uint16_t* positions = cold_positions_.data() + cold_size_;
  float* cold_values = cold_values_.data() + cold_size_;
  float* tile_row = tile_.data() + row * tile_stride_;
  std::copy(empty_tile_row_.begin(), empty_tile_row_.end(), tile_row);
  std::uint32_t n = 0;
  bool good = true;
  for (std::int64_t k = begin; k < end; ++k) {
    const GramPlan::Gene gene = genes[indices[k]];
    const float value = values[k];
    good &= std::abs(value) <= gene.limit;
    const float scaled = value * gene.scale;
    const bool cold = gene.position < n_cold;
    ++counts[gene.position];
    positions[n] = gene.position;
    cold_values[n] = scaled;
    n += static_cast<std::uint32_t>(cold);
    tile_row[gene.slot] = scaled - gene.shift;
    const std::uint32_t group = gene.slot / kBandRows;
    hot[group * hot_room + hot_sizes[group]] = {scaled, static_cast<std::uint16_t>(row), gene.slot};
    hot_sizes[group] += static_cast<std::uint32_t>(!cold);
  }
  cold_begins_[at] = cold_size_;
  // Padding goes to places of its own behind the row, so that it doesn't wait for itself.
  for (std::uint32_t spare = 0; n % kGroup != 0; ++n, ++spare) {
    positions[n] = static_cast<std::uint16_t>(static_cast<std::uint32_t>(n_cold) + spare);
    cold_values[n] = 0;
  }
  cold_size_ += n;
  cold_ends_[at] = cold_size_;
  return good;
}

void GramSegment::transpose(std::int64_t begin, std::int64_t end) {
  band_begin_ = begin;
  std::uint32_t size = 0;
  for (std::int64_t p = begin; p < end; ++p) {
    cursors_[static_cast<std::size_t>(p - begin)] = size;
    size += counts_[static_cast<std::size_t>(p)];
  }
  if (entries_.size() < size) entries_.resize(size);
  for (std::int64_t tile = 0; tile < n_tiles_; ++tile) {
    std::copy(cursors_.begin(), cursors_.end(), bounds_.begin() + tile * kBandRows);
    if (begin < plan_.n_cold) {
      transpose_cold(tile, end);
    } else {
      transpose_hot(tile);
    }
  }
  std::copy(cursors_.begin(), cursors_.end(), bounds_.begin() + n_tiles_ * kBandRows);
}

void GramSegment::transpose_cold(std::int64_t tile, std::int64_t end) {
  const std::int64_t last = std::min((tile + 1) * tile_rows_, rows_);
  const auto band_end = static_cast<std::uint16_t>(end);
  const auto band_begin = static_cast<std::uint16_t>(band_begin_);
  GramEntry* entries = entries_.data();
  std::uint32_t* cursors = cursors_.data();
  for (std::int64_t cell = tile * tile_rows_; cell < last; ++cell) {
    const auto c = static_cast<std::size_t>(cell);
    const std::uint32_t list_begin = cold_begins_[c];
    const std::uint32_t list_end = cold_ends_[c];
    std::uint32_t at = cold_next_[c];
    // Padding has positions behind the last cold gene, so it ends the last band too.
    for (; at < list_end && cold_positions_[at] < band_end; ++at) {
      entries[cursors[cold_positions_[at] - band_begin]++] = {
          cold_values_[at], static_cast<std::uint16_t>(cell),
          static_cast<std::uint16_t>(at - list_begin)};
    }
    cold_next_[c] = at;
  }
}

void GramSegment::transpose_hot(std::int64_t tile) {
  const std::int64_t group = (band_begin_ - plan_.n_cold) / kBandRows;
  const auto first_slot = static_cast<std::uint16_t>(band_begin_ - plan_.n_cold);
  const auto at = static_cast<std::size_t>(tile * n_groups_ + group);
  const HotEntry* hot = hot_.data() + group * hot_room_;
  GramEntry* entries = entries_.data();
  std::uint32_t* cursors = cursors_.data();
  for (std::uint32_t k = hot_bounds_[at]; k < hot_bounds_[at + static_cast<std::size_t>(n_groups_)];
       ++k) {
    entries[cursors[hot[k].slot - first_slot]++] = {hot[k].value, hot[k].cell, 0};
  }
}

std::int64_t GramSegment::bytes() const {
  const auto bytes_of = [](const auto&... vectors) {
    return static_cast<std::int64_t>(
        ((vectors.capacity() * sizeof(*vectors.data())) + ... + std::size_t{0}));
  };
  return bytes_of(empty_tile_row_, tile_, cold_positions_, cold_values_, cold_begins_, cold_ends_,
                  cold_next_, hot_, hot_sizes_, hot_bounds_, counts_, entries_, cursors_, bounds_);
}

}  // namespace cellmill
