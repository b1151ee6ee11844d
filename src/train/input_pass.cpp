#include "train/input_pass.hpp"

#include <vector>

#include "cellmill/stream/transforms.hpp"

namespace cellmill {

std::int64_t segment_cost(const InputRows& rows, std::int64_t at) {
  constexpr std::int64_t wide_bytes = sizeof(std::int32_t) + sizeof(float);
  const Segment& segment = rows.segment(at);
  const MatrixSource::Cost cost = rows.matrix(segment.source).cost(segment.rows, segment.nnz);
  return cost.encoded + cost.decoded + segment.nnz * wide_bytes;
}

void decode_segment(const InputRows& rows, std::int64_t at, const FetchedRows& fetched,
                    CsrChunk& out) {
  rows.matrix(rows.segment(at).source).decode(fetched, out);
  if (rows.kept(at).size() < rows.segment(at).rows.size()) select_rows(out, rows.keep(at));
}

void keep_genes(const InputRows& rows, std::int64_t at, CsrChunk& chunk) {
  const auto source = static_cast<std::size_t>(rows.segment(at).source);
  const std::vector<std::int32_t>& slots = rows.genes().slots[source];
  if (!slots.empty()) select_columns(chunk, slots, rows.n_genes());
}

}  // namespace cellmill
