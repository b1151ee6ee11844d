#include "analysis/segment_reader.hpp"

#include "cellmill/stream/packed_rows.hpp"
#include "cellmill/stream/transforms.hpp"

namespace cellmill {

SegmentReader::Bytes::From SegmentReader::nearest(std::int64_t at) const {
  if (small_ != nullptr && small_->has(at)) return Bytes::From::small;
  if (cache_ != nullptr && cache_->has(at)) return Bytes::From::cache;
  return Bytes::From::plate;
}

Range SegmentReader::cells(std::int64_t at) const {
  const std::int64_t first = plan_.rows_of_segment(plan_.mine.begin).begin;
  const Range rows = plan_.rows_of_segment(plan_.mine.begin + at);
  return {rows.begin - first, rows.end - first};
}

std::int64_t SegmentReader::cost(std::int64_t at) const {
  constexpr std::int64_t unpacked = sizeof(std::int32_t) + sizeof(float);
  const Segment& of = segment(at);
  switch (nearest(at)) {
    case Bytes::From::small:
      return small_->size(at) * (1 + unpacked);  // at least a byte for each non-zero
    case Bytes::From::cache:
      return cache_->size(at) + unpacked * of.nnz;
    case Bytes::From::plate:
      break;
  }
  const MatrixSource::Cost cost = plate(at).data->x().cost(of.rows, of.nnz);
  return cost.encoded + cost.decoded;
}

void SegmentReader::fetch(std::int64_t at, Bytes& out) const {
  out.from = nearest(at);
  switch (out.from) {
    case Bytes::From::small:
      return small_->get(at, out.packed);
    case Bytes::From::cache:
      return cache_->get(at, out.packed);
    case Bytes::From::plate:
      return plate(at).data->x().fetch(segment(at).rows, out.rows);
  }
}

void SegmentReader::decode(std::int64_t at, const Bytes& bytes, CsrChunk& out) const {
  if (bytes.from == Bytes::From::cache) {
    return unpack_rows(bytes.packed, plate(at).data->n_vars(), out);
  }
  plate(at).data->x().decode(bytes.rows, out);
  select_rows(out, plan_.keep[static_cast<std::size_t>(at)]);
}

void SegmentReader::decode(std::int64_t at, const Bytes& bytes, const GeneSlots& slots,
                           CsrChunk& out) const {
  const std::vector<std::int32_t>& slot =
      slots.of_plate[static_cast<std::size_t>(segment(at).source)];
  switch (bytes.from) {
    case Bytes::From::small:
      unpack_rows(bytes.packed, slots.n_slots, out);
      break;
    case Bytes::From::cache:
      unpack_rows(bytes.packed, slot, slots.n_slots, out);
      break;
    case Bytes::From::plate:
      decode(at, bytes, out);
      select_columns(out, slot, slots.n_slots);
      break;
  }
}

}  // namespace cellmill
