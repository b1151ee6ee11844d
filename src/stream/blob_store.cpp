#include "cellmill/stream/blob_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"

namespace cellmill {

BlobStore::BlobStore(std::int64_t count, std::shared_ptr<ScratchFile> scratch, WhenFull when_full,
                     MemoryBudget& budget, std::int64_t memory_share)
    : blocks_(static_cast<std::size_t>(count)),
      scratch_(std::move(scratch)),
      when_full_(when_full),
      budget_(budget),
      memory_left_(memory_share) {}

void BlobStore::put(std::int64_t block, RawVector<std::byte> bytes) {
  Block& at = blocks_[static_cast<std::size_t>(block)];
  const auto size = static_cast<std::int64_t>(bytes.size());
  at.bytes = size;
  if (memory_left_.fetch_sub(size) >= size && budget_.fits(size)) {
    at.reserved = budget_.reserve(size, "the cache of kept genes");
    bytes.shrink_to_fit();  // packing leaves room behind
    at.data = std::move(bytes);
    at.where = Block::Where::memory;
    return;
  }
  at.where = Block::Where::nowhere;
  if (scratch_ == nullptr || full_) return;
  try {
    at.offset = scratch_->append(bytes);
    at.where = Block::Where::file;
  } catch (const Error& error) {
    if (when_full_ == WhenFull::fail) throw;
    if (!full_.exchange(true))
      log_warning(fmt::format("{}; what is missing is read from the plates again", error.what()));
  }
}

bool BlobStore::has(std::int64_t block) const {
  return blocks_[static_cast<std::size_t>(block)].where != Block::Where::nowhere;
}

std::int64_t BlobStore::size(std::int64_t block) const {
  return has(block) ? blocks_[static_cast<std::size_t>(block)].bytes : 0;
}

void BlobStore::get(std::int64_t block, RawVector<std::byte>& out) const {
  const Block& at = blocks_[static_cast<std::size_t>(block)];
  resize_for_reuse(out, static_cast<std::size_t>(at.bytes));
  if (at.where == Block::Where::memory) {
    std::copy(at.data.begin(), at.data.end(), out.begin());
  } else {
    scratch_->read(at.offset, out);
  }
}

void BlobStore::clear() {
  for (Block& block : blocks_) block = Block{};
  scratch_.reset();
}

}  // namespace cellmill
