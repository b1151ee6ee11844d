#include "train/shard_pass.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <utility>
#include <vector>

#include "cellmill/core/log.hpp"
#include "cellmill/stream/pool.hpp"
#include "cellmill/stream/transforms.hpp"

namespace cellmill {
namespace {

/// What a segment or a bucket carries from stage to stage.
struct Item : FetchedSegment {
  RawVector<std::byte> packed;
  std::optional<Pool<NarrowRows>::Loan> narrow;
  std::vector<RowBuckets::Dealt> dealt;
};

/// Tells, once a source, of counts that float32 rounded when they were read.
class RoundedCounts {
 public:
  explicit RoundedCounts(const InputRows& rows)
      : rows_(rows), told_(static_cast<std::size_t>(rows.data().n_sources())) {}

  void look_at(std::int64_t segment, const CsrChunk& chunk) {
    const std::int32_t source = rows_.segment(segment).source;
    const MatrixSource& matrix = rows_.matrix(source);
    if (matrix.dtype() == DType::float32 || dtype_size(matrix.dtype()) < sizeof(float)) return;
    constexpr float all_whole_numbers_below = 16777216.0F;  // 2^24
    const bool rounded = std::any_of(chunk.values.begin(), chunk.values.end(),
                                     [](float value) { return value >= all_whole_numbers_below; });
    if (!rounded || told_[static_cast<std::size_t>(source)].exchange(true)) return;
    log_warning(
        fmt::format("{}: counts from 2^24 on are rounded to float32's 24 bits", matrix.location()));
  }

 private:
  const InputRows& rows_;
  std::vector<std::atomic<bool>> told_;
};

DType index_dtype(const InputRows& rows) { return index_dtype_for(rows.n_genes()); }

}  // namespace

DType index_dtype_for(std::int32_t n_genes) {
  constexpr std::int32_t most_for_uint16 = 65'536;
  return n_genes <= most_for_uint16 ? DType::uint16 : DType::int32;
}

std::int64_t expected_nonzeros(const InputRows& rows) {
  const auto& slots = rows.genes().slots;
  if (std::all_of(slots.begin(), slots.end(), [](const auto& one) { return one.empty(); })) {
    return rows.stored_nonzeros();
  }
  constexpr std::int64_t samples = 8;
  constexpr std::int64_t rows_a_sample = 128;
  std::int64_t stored = 0;
  std::int64_t chosen = 0;
  for (std::int64_t i = 0; i < samples; ++i) {
    const Segment& segment = rows.segment(rows.n_segments() * i / samples);
    const Range some{segment.rows.begin,
                     std::min(segment.rows.end, segment.rows.begin + rows_a_sample)};
    const MatrixSource& matrix = rows.matrix(segment.source);
    CsrChunk chunk;
    matrix.decode(matrix.fetch(some), chunk);
    stored += chunk.nnz();
    const auto& slot = slots[static_cast<std::size_t>(segment.source)];
    if (!slot.empty()) select_columns(chunk, slot, rows.n_genes());
    chosen += chunk.nnz();
  }
  if (stored == 0) return rows.stored_nonzeros();
  return static_cast<std::int64_t>(static_cast<double>(rows.stored_nonzeros()) *
                                   static_cast<double>(chosen) / static_cast<double>(stored));
}

void write_in_order(const InputPass& context, MatrixWriter& writer) {
  const InputRows& rows = context.rows;
  if (writer.next_row() == rows.n_cells()) return;
  const std::int64_t first = rows.segment_of(writer.next_row());
  Pool<CsrChunk> pool;
  Pool<NarrowRows> narrow;
  RoundedCounts rounded(rows);
  PassProgress progress("shard", rows.n_cells() - rows.kept(first).begin);
  Pass pass =
      segment_pass<Item>(context, first, pool, [&](std::int64_t at, CsrChunk& chunk, Item& item) {
        keep_genes(rows, at, chunk);
        item.narrow.emplace(narrow.borrow());
        narrow_rows(chunk, index_dtype(rows), writer.value_dtype(), **item.narrow);
        rounded.look_at(at, chunk);
      });
  pass.deliver = [&](std::int64_t i, Fetched& fetched) {
    const auto& item = static_cast<const Item&>(fetched);
    const Range cells = rows.kept(first + i);
    if (!cells.empty()) writer.append(cells.begin, **item.narrow);
    progress.add(cells.size(), item.bytes);
  };
  run_pass(pass, context.resources);
}

void deal_rows(const InputPass& context, const KeyedPermutation& shuffle, RowBuckets& buckets) {
  const InputRows& rows = context.rows;
  Pool<CsrChunk> pool;
  RoundedCounts rounded(rows);
  PassProgress progress("shuffle", rows.n_cells());
  Pass pass =
      segment_pass<Item>(context, 0, pool, [&](std::int64_t at, CsrChunk& chunk, Item& item) {
        keep_genes(rows, at, chunk);
        rounded.look_at(at, chunk);
        std::vector<std::int64_t> places;
        for (std::int64_t cell = rows.kept(at).begin; cell < rows.kept(at).end; ++cell) {
          places.push_back(
              static_cast<std::int64_t>(shuffle.place_of(static_cast<std::uint64_t>(cell))));
        }
        item.dealt = buckets.deal(chunk, places);
      });
  pass.deliver = [&](std::int64_t i, Fetched& fetched) {
    const auto& item = static_cast<const Item&>(fetched);
    buckets.put(item.dealt);
    progress.add(rows.kept(i).size(), item.bytes);
  };
  run_pass(pass, context.resources);
  buckets.flush();
}

void write_buckets(const InputPass& context, const RowBuckets& buckets, MatrixWriter& writer) {
  const InputRows& rows = context.rows;
  if (writer.next_row() == rows.n_cells()) return;
  std::int64_t first = 0;
  while (buckets.places(first).end <= writer.next_row()) ++first;
  Pool<NarrowRows> narrow;
  PassProgress progress("shard", rows.n_cells() - buckets.places(first).begin);
  Pass pass;
  pass.count = buckets.count() - first;
  pass.check = context.check;
  pass.cost = [&](std::int64_t i) {
    return buckets.packed_bytes(first + i) + buckets.unpacked_bytes(first + i);
  };
  pass.fetch = [&](std::int64_t i) {
    auto item = std::make_unique<Item>();
    item->packed = buckets.fetch(first + i);
    item->bytes = static_cast<std::int64_t>(item->packed.size());
    return item;
  };
  pass.process = [&](std::int64_t i, Fetched& fetched) {
    auto& item = static_cast<Item&>(fetched);
    item.narrow.emplace(narrow.borrow());
    buckets.unpack(first + i, item.packed, rows.n_genes(), index_dtype(rows), writer.value_dtype(),
                   **item.narrow);
    item.packed = {};
  };
  pass.deliver = [&](std::int64_t i, Fetched& fetched) {
    const auto& item = static_cast<const Item&>(fetched);
    writer.append(buckets.places(first + i).begin, **item.narrow);
    progress.add(buckets.places(first + i).size(), item.bytes);
  };
  run_pass(pass, context.resources);
}

}  // namespace cellmill
