#include "storage/zarr_shards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"

namespace cellmill {

namespace {

constexpr std::size_t remembered_shards = 16;
constexpr std::int64_t remembered_bytes = 256 << 20;  ///< of indices and of shards inflated whole
constexpr std::uint64_t not_written = std::numeric_limits<std::uint64_t>::max();

std::uint64_t load_u64(std::span<const std::byte> bytes, std::size_t at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[at + i]) << (8 * i);
  }
  return value;
}

void append_little(Bytes& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xFF));
}

}  // namespace

ShardReader::ShardReader(std::shared_ptr<const ByteStore> store, std::string path,
                         const ZarrMetadata& metadata)
    : store_(std::move(store)),
      path_(std::move(path)),
      metadata_(metadata),
      shard_grid_(chunk_grid(metadata.shape, metadata.shard_shape)),
      inner_grid_(chunk_grid(metadata.shard_shape, metadata.chunk_shape)) {
  for (const std::int64_t count : inner_grid_) inner_count_ *= count;
}

ShardReader::Place ShardReader::place(std::span<const std::int64_t> inner) const {
  Place at;
  for (std::size_t axis = 0; axis < inner.size(); ++axis) {
    at.shard = at.shard * shard_grid_[axis] + inner[axis] / inner_grid_[axis];
    at.inner = at.inner * inner_grid_[axis] + inner[axis] % inner_grid_[axis];
  }
  return at;
}

std::shared_ptr<const ShardReader::Shard> ShardReader::shard(std::int64_t number) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(recent_.begin(), recent_.end(),
                                    [&](const auto& entry) { return entry.first == number; });
    if (found != recent_.end()) {
      recent_.splice(recent_.begin(), recent_, found);
      return found->second;
    }
  }
  // Two threads may load the same index: cheaper than to make all others wait for a read.
  std::shared_ptr<const Shard> loaded = load(number);
  const std::lock_guard lock(mutex_);
  recent_.emplace_front(number, loaded);
  forget_old();
  return loaded;
}

void ShardReader::forget_old() const {
  std::int64_t held = 0;
  std::size_t kept = 0;
  for (const auto& [number, shard] : recent_) {
    if (shard) {
      held += shard->file->held_bytes() +
              static_cast<std::int64_t>(shard->chunks.size() * sizeof(Range));
    }
    if (kept > 0 && held > remembered_bytes) break;
    if (++kept == remembered_shards) break;
  }
  recent_.resize(kept);
}

std::shared_ptr<const ShardReader::Shard> ShardReader::load(std::int64_t number) const {
  const std::string key = metadata_.key(grid_coordinates(number, shard_grid_));
  std::unique_ptr<ByteSource> file = store_->open(join_key(path_, key));
  if (!file) return nullptr;
  return with_context("shard " + key, [&] {
    const std::int64_t index_bytes = inner_count_ * 16 + (metadata_.index_checksum ? 4 : 0);
    if (inner_count_ > file->size() / 16 || index_bytes > file->size()) {
      throw input_error(fmt::format("has {} bytes, expected an index of {}", grouped(file->size()),
                                    grouped(index_bytes)));
    }
    Bytes index(static_cast<std::size_t>(index_bytes));
    const bool at_start = metadata_.index_location == IndexLocation::start;
    file->read(at_start ? 0 : file->size() - index_bytes, index);
    const auto entries =
        std::span<const std::byte>(index).first(static_cast<std::size_t>(inner_count_) * 16);
    if (metadata_.index_checksum) {
      std::uint64_t stored = 0;
      for (std::size_t i = 0; i < 4; ++i) {
        stored |= std::to_integer<std::uint64_t>(index[entries.size() + i]) << (8 * i);
      }
      if (stored != crc32c(entries)) throw input_error("its index has a wrong crc32c");
    }
    std::vector<Range> chunks(static_cast<std::size_t>(inner_count_));
    const auto size = static_cast<std::uint64_t>(file->size());
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      const std::uint64_t offset = load_u64(entries, i * 16);
      const std::uint64_t length = load_u64(entries, i * 16 + 8);
      if (offset == not_written && length == not_written) continue;
      if (offset > size || length > size - offset) {
        throw input_error(fmt::format("inner chunk {} at byte {}, {} bytes long, lies outside {}",
                                      i, offset, length, size));
      }
      chunks[i] = {static_cast<std::int64_t>(offset), static_cast<std::int64_t>(offset + length)};
    }
    return std::make_shared<const Shard>(std::move(file), std::move(chunks));
  });
}

std::optional<Bytes> ShardReader::read(std::span<const std::int64_t> inner) const {
  const Place at = place(inner);
  const std::shared_ptr<const Shard> holder = shard(at.shard);
  if (!holder) return std::nullopt;
  const Range range = holder->chunks[static_cast<std::size_t>(at.inner)];
  if (range.empty()) return std::nullopt;
  Bytes bytes(static_cast<std::size_t>(range.size()));
  holder->file->read(range.begin, bytes);
  return bytes;
}

std::int64_t ShardReader::encoded_bytes(std::span<const std::int64_t> inner) const {
  const Place at = place(inner);
  const std::shared_ptr<const Shard> holder = shard(at.shard);
  return holder ? holder->chunks[static_cast<std::size_t>(at.inner)].size() : 0;
}

Bytes assemble_shard(std::span<const std::optional<Bytes>> chunks) {
  std::size_t total = chunks.size() * 16 + 4;
  for (const auto& chunk : chunks) total += chunk ? chunk->size() : 0;
  Bytes shard;
  shard.reserve(total);
  Bytes index;
  for (const auto& chunk : chunks) {
    append_little(index, chunk ? shard.size() : not_written, 8);
    append_little(index, chunk ? chunk->size() : not_written, 8);
    if (chunk) shard.insert(shard.end(), chunk->begin(), chunk->end());
  }
  append_little(index, crc32c(index), 4);
  shard.insert(shard.end(), index.begin(), index.end());
  return shard;
}

}  // namespace cellmill
