#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cellmill/core/progress.hpp"
#include "cellmill/stream/pipeline.hpp"
#include "cellmill/stream/pool.hpp"
#include "train/input_rows.hpp"

namespace cellmill {

/// What a reading of the inputs runs with.
struct InputPass {
  const InputRows& rows;
  PassResources resources;
  std::function<void()> check;  ///< throws to stop
};

/// What a segment carries from stage to stage.
struct FetchedSegment : Fetched {
  FetchedRows fetched;
  std::int64_t bytes = 0;  ///< encoded
};

/// Most bytes that a segment takes while it is read, and once it is decoded.
[[nodiscard]] std::int64_t segment_cost(const InputRows& rows, std::int64_t at);

/// The kept cells of a segment, with all genes.
void decode_segment(const InputRows& rows, std::int64_t at, const FetchedRows& fetched,
                    CsrChunk& out);
/// Of these the chosen genes.
void keep_genes(const InputRows& rows, std::int64_t at, CsrChunk& chunk);

/// A pass over the segments from `first` on: fetched, decoded, and made into what `process(segment,
/// chunk, item)` makes. Segments without a kept cell are neither read nor processed.
/// \tparam Item a FetchedSegment
template <class Item, class Process>
[[nodiscard]] Pass segment_pass(const InputPass& context, std::int64_t first, Pool<CsrChunk>& pool,
                                Process process) {
  const InputRows& rows = context.rows;
  Pass pass;
  pass.count = rows.n_segments() - first;
  pass.check = context.check;
  pass.cost = [&rows, first](std::int64_t i) { return segment_cost(rows, first + i); };
  pass.fetch = [&rows, first](std::int64_t i) {
    auto item = std::make_unique<Item>();
    const Segment& segment = rows.segment(first + i);
    if (rows.kept(first + i).empty()) return item;
    item->fetched = rows.matrix(segment.source).fetch(segment.rows);
    item->bytes = item->fetched.encoded_bytes();
    return item;
  };
  pass.process = [&rows, &pool, first, process = std::move(process)](std::int64_t i,
                                                                     Fetched& fetched) {
    auto& item = static_cast<Item&>(fetched);
    if (rows.kept(first + i).empty()) return;
    const auto chunk = pool.borrow();
    decode_segment(rows, first + i, item.fetched, *chunk);
    item.fetched = {};
    process(first + i, *chunk, item);
  };
  return pass;
}

/// Shows how far a pass is; called by one thread at a time.
class PassProgress {
 public:
  PassProgress(std::string name, std::int64_t total) : line_(std::move(name), total) {}
  ~PassProgress() { line_.finish(); }
  PassProgress(const PassProgress&) = delete;
  PassProgress& operator=(const PassProgress&) = delete;
  void add(std::int64_t cells, std::int64_t bytes) {
    cells_ += cells;
    bytes_ += bytes;
    line_.show(cells_, bytes_);
  }

 private:
  ProgressLine line_;
  std::int64_t cells_ = 0;
  std::int64_t bytes_ = 0;
};

}  // namespace cellmill
