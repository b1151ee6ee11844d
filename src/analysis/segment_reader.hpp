#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "analysis/run_inputs.hpp"
#include "cellmill/stream/blob_store.hpp"

namespace cellmill {

/// Columns of a matrix with fewer genes: for each plate, where each of its var rows goes, or −1.
struct GeneSlots {
  std::vector<std::vector<std::int32_t>> of_plate;
  std::int32_t n_slots = 0;
};

/// Counts of the kept cells of this rank's segments, from wherever is nearest: the kept genes that
/// pass 2 kept, the scratch cache of all genes, the plates. Segments are numbered from this rank's
/// first.
class SegmentReader {
 public:
  /// \param cache all genes, by segment, as pack_rows made them; null: none
  /// \param small kept genes, columns are slots; null: none
  SegmentReader(const RunInputs& inputs, const CellPlan& plan, const BlobStore* cache = nullptr,
                const BlobStore* small = nullptr) noexcept
      : inputs_(inputs), plan_(plan), cache_(cache), small_(small) {}

  [[nodiscard]] std::int64_t count() const { return plan_.mine.size(); }
  [[nodiscard]] const Segment& segment(std::int64_t at) const {
    return plan_.segments[static_cast<std::size_t>(plan_.mine.begin + at)];
  }
  [[nodiscard]] const Plate& plate(std::int64_t at) const {
    return inputs_.plates[static_cast<std::size_t>(segment(at).source)];
  }
  /// The segment's kept cells, counted from this rank's first kept cell.
  [[nodiscard]] Range cells(std::int64_t at) const;

  /// Most bytes that fetch and decode will take together.
  [[nodiscard]] std::int64_t cost(std::int64_t at) const;

  /// A segment's bytes as they were stored; made to be used again.
  struct Bytes {
    enum class From { plate, cache, small } from = From::plate;
    FetchedRows rows;             ///< from the plate
    RawVector<std::byte> packed;  ///< from elsewhere
    [[nodiscard]] std::int64_t bytes() const {
      return from == From::plate ? rows.encoded_bytes() : static_cast<std::int64_t>(packed.size());
    }
    [[nodiscard]] std::int64_t held_bytes() const {
      return rows.held_bytes() + static_cast<std::int64_t>(packed.capacity());
    }
  };
  void fetch(std::int64_t at, Bytes& out) const;

  /// All genes, as columns of the plate's var. Not for what came from `small`.
  void decode(std::int64_t at, const Bytes& bytes, CsrChunk& out) const;
  /// Only genes with a slot, as columns of the slots.
  void decode(std::int64_t at, const Bytes& bytes, const GeneSlots& slots, CsrChunk& out) const;

 private:
  [[nodiscard]] Bytes::From nearest(std::int64_t at) const;

  const RunInputs& inputs_;
  const CellPlan& plan_;
  const BlobStore* cache_;
  const BlobStore* small_;
};

}  // namespace cellmill
