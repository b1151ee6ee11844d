#include "cellmill/storage/chunk_cache.hpp"

#include <mutex>
#include <utility>

namespace cellmill {
namespace {

void view(const EncodedChunk& of, EncodedChunk& out) {
  out.begin(of.chunk);
  out.missing = of.missing;
  out.filter_mask = of.filter_mask;
  out.offset = of.offset;
  out.verified = of.verified;
  out.bytes = of.bytes;
}

}  // namespace

bool ChunkCache::find(const Array& array, Range wanted, FetchedRange& into) const {
  const std::shared_lock lock(mutex_);
  const auto of = arrays_.find(&array);
  if (of == arrays_.end()) return false;
  into.chunks.resize(static_cast<std::size_t>(wanted.size()));
  for (std::int64_t number = wanted.begin; number < wanted.end; ++number) {
    const auto found = of->second.find(number);
    if (found == of->second.end()) return false;
    view(*found->second, into.chunks[static_cast<std::size_t>(number - wanted.begin)]);
  }
  return true;
}

void ChunkCache::keep(const Array& array, std::unique_ptr<FetchedRange> fetched) {
  const std::unique_lock lock(mutex_);
  auto& chunks = arrays_[&array];
  for (const EncodedChunk& chunk : fetched->chunks) chunks.emplace(chunk.chunk, &chunk);
  bytes_held_ += fetched->held_bytes();
  held_.push_back(std::move(fetched));
}

void ChunkCache::fetch_range(const Array& array, Range range, FetchedRange& into) {
  const std::int64_t length = array.info().chunk_shape.empty() ? 1 : array.info().chunk_shape[0];
  into.range = range;
  if (capacity_ > 0 && !range.empty() && range.begin >= 0 &&
      find(array, {range.begin / length, (range.end - 1) / length + 1}, into)) {
    return;
  }
  if (bytes_held_ >= capacity_) {
    cellmill::fetch_range(array, range, into);
    bytes_read_ += into.encoded_bytes();
    return;
  }
  auto fetched = std::make_unique<FetchedRange>();
  cellmill::fetch_range(array, range, *fetched);
  bytes_read_ += fetched->encoded_bytes();
  if (const PackedRows* packed = array.packed_rows()) {
    for (EncodedChunk& chunk : fetched->chunks) {
      packed->verify(chunk);
      chunk.verified = true;
    }
  }
  into.chunks.resize(fetched->chunks.size());
  for (std::size_t i = 0; i < fetched->chunks.size(); ++i) {
    view(fetched->chunks[i], into.chunks[i]);
  }
  keep(array, std::move(fetched));
}

}  // namespace cellmill
