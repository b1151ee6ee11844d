#include "storage/zarr_shards.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "storage/array_box.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t entry_bytes = 16;  // an offset and a length
constexpr std::uint64_t not_written = std::numeric_limits<std::uint64_t>::max();

// What is remembered for an array: indices, and open files with what they hold in memory (shards in
// deflated members of a zip archive). A file costs so much that 16 are kept open.
constexpr std::int64_t index_limit = 32 << 20;
constexpr std::int64_t entry_cost = 128;
constexpr std::int64_t file_limit = 256 << 20;
constexpr std::int64_t open_file_cost = file_limit / 16;

/// A little-endian number.
std::uint64_t load(std::span<const std::byte> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
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
      inner_grid_(chunk_grid(metadata.shard_shape, metadata.chunk_shape)),
      indices_(index_limit),
      files_(file_limit) {
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

std::string ShardReader::key(std::int64_t shard) const {
  return metadata_.key(grid_coordinates(shard, shard_grid_));
}

template <class Body>
decltype(auto) ShardReader::in_shard(std::int64_t shard, Body&& body) const {
  try {
    return std::forward<Body>(body)();
  } catch (const Error& error) {
    throw Error(error.kind(), "shard " + key(shard) + ": " + error.what());
  }
}

std::shared_ptr<const ByteSource> ShardReader::file(std::int64_t shard) const {
  if (auto known = files_.find(shard)) return *known;
  std::shared_ptr<const ByteSource> opened = store_->open(join_key(path_, key(shard)));
  files_.add(shard, opened, open_file_cost + (opened ? opened->held_bytes() : 0));
  return opened;
}

std::shared_ptr<const ShardReader::Index> ShardReader::index(std::int64_t shard) const {
  if (auto known = indices_.find(shard)) return *known;
  // Two threads may load the same index: cheaper than to make all others wait for a read.
  std::shared_ptr<const Index> loaded = load_index(shard);
  const std::size_t entries = loaded ? loaded->size() : 0;
  indices_.add(shard, loaded, static_cast<std::int64_t>(entries * sizeof(Range)) + entry_cost);
  return loaded;
}

std::shared_ptr<const ShardReader::Index> ShardReader::load_index(std::int64_t shard) const {
  const std::shared_ptr<const ByteSource> source = file(shard);
  if (!source) return nullptr;
  const std::int64_t size = source->size();
  const std::int64_t checksum_bytes = metadata_.index_checksum ? 4 : 0;
  if (inner_count_ > (size - checksum_bytes) / entry_bytes) {
    throw input_error(fmt::format("has {} bytes, expected an index of {} chunks", grouped(size),
                                  grouped(inner_count_)));
  }
  const std::int64_t index_bytes = inner_count_ * entry_bytes + checksum_bytes;
  Bytes bytes(static_cast<std::size_t>(index_bytes));
  const bool at_start = metadata_.index_location == IndexLocation::start;
  source->read(at_start ? 0 : size - index_bytes, bytes);
  return std::make_shared<const Index>(parse_shard_index(bytes, inner_count_, metadata_, size));
}

StoredChunk ShardReader::find(std::span<const std::int64_t> inner) const {
  const Place at = place(inner);
  return in_shard(at.shard, [&] {
    StoredChunk found{.file = at.shard};
    const std::shared_ptr<const Index> ranges = index(at.shard);
    if (!ranges) return found;
    const Range range = (*ranges)[static_cast<std::size_t>(at.inner)];
    check_most(range.size(), metadata_.most_encoded_bytes());
    found.offset = range.begin;
    found.size = range.size();
    return found;
  });
}

void ShardReader::read(std::int64_t shard, std::int64_t offset, std::span<std::byte> to) const {
  in_shard(shard, [&] {
    const std::shared_ptr<const ByteSource> source = file(shard);
    if (!source) throw input_error("is gone");
    source->read(offset, to);
  });
}

std::vector<Range> parse_shard_index(std::span<const std::byte> index, std::int64_t count,
                                     const ZarrMetadata& metadata, std::int64_t shard_bytes) {
  const auto entries = index.first(static_cast<std::size_t>(count * entry_bytes));
  if (metadata.index_checksum && load(index.subspan(entries.size(), 4)) != crc32c(entries)) {
    throw input_error("its index has a wrong crc32c");
  }
  std::vector<Range> ranges(static_cast<std::size_t>(count));
  const auto size = static_cast<std::uint64_t>(shard_bytes);
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    std::uint64_t offset = load(entries.subspan(i * entry_bytes, 8));
    std::uint64_t length = load(entries.subspan(i * entry_bytes + 8, 8));
    if (metadata.index_big_endian) {
      offset = __builtin_bswap64(offset);
      length = __builtin_bswap64(length);
    }
    if (offset == not_written && length == not_written) continue;
    if (length == 0 || offset > size || length > size - offset) {
      throw input_error(fmt::format("inner chunk {}, {} bytes at byte {}, does not lie in its {}",
                                    i, length, offset, size));
    }
    ranges[i] = {static_cast<std::int64_t>(offset), static_cast<std::int64_t>(offset + length)};
  }
  return ranges;
}

Bytes make_shard_index(std::span<const Range> chunks) {
  Bytes index;
  index.reserve(chunks.size() * entry_bytes + 4);
  for (const Range& chunk : chunks) {
    const bool written = !chunk.empty();
    append_little(index, written ? static_cast<std::uint64_t>(chunk.begin) : not_written, 8);
    append_little(index, written ? static_cast<std::uint64_t>(chunk.size()) : not_written, 8);
  }
  append_little(index, crc32c(index), 4);
  return index;
}

Bytes assemble_shard(std::span<const std::optional<Bytes>> chunks) {
  std::vector<Range> ranges;
  std::int64_t at = 0;
  for (const auto& chunk : chunks) {
    const auto size = chunk ? static_cast<std::int64_t>(chunk->size()) : 0;
    ranges.push_back({at, at + size});
    at += size;
  }
  const Bytes index = make_shard_index(ranges);
  Bytes shard;
  shard.reserve(static_cast<std::size_t>(at) + index.size());
  for (const auto& chunk : chunks) {
    if (chunk) shard.insert(shard.end(), chunk->begin(), chunk->end());
  }
  shard.insert(shard.end(), index.begin(), index.end());
  return shard;
}

}  // namespace cellmill
