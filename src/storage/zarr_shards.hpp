#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/core/recent.hpp"
#include "storage/byte_store.hpp"
#include "storage/stored_chunks.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

/// Finds and reads the inner chunks of a sharded array. Remembers the indices of the shards used
/// last, and keeps the files of a few open: random order over many shards must not read an index
/// for every chunk. Thread-safe.
class ShardReader {
 public:
  /// \param path of the array in the store
  ShardReader(std::shared_ptr<const ByteStore> store, std::string path,
              const ZarrMetadata& metadata);

  /// Where the inner chunk at these coordinates (in the grid of all inner chunks) lies: `file` is
  /// its shard's number, and there are no bytes if it was never written.
  [[nodiscard]] StoredChunk find(std::span<const std::int64_t> inner) const;
  /// Bytes [offset, offset + to.size()) of a shard.
  void read(std::int64_t shard, std::int64_t offset, std::span<std::byte> to) const;

 private:
  using Index = std::vector<Range>;  ///< of each inner chunk in the shard; empty if not written
  /// The shard's number and the inner chunk's number in it.
  struct Place {
    std::int64_t shard = 0;
    std::int64_t inner = 0;
  };
  [[nodiscard]] Place place(std::span<const std::int64_t> inner) const;
  [[nodiscard]] std::string key(std::int64_t shard) const;
  /// Runs `body`; its errors get the shard's key put in front.
  template <class Body>
  decltype(auto) in_shard(std::int64_t shard, Body&& body) const;
  /// Null if the shard was never written.
  [[nodiscard]] std::shared_ptr<const ByteSource> file(std::int64_t shard) const;
  [[nodiscard]] std::shared_ptr<const Index> index(std::int64_t shard) const;
  [[nodiscard]] std::shared_ptr<const Index> load_index(std::int64_t shard) const;

  std::shared_ptr<const ByteStore> store_;
  std::string path_;
  ZarrMetadata metadata_;
  std::vector<std::int64_t> shard_grid_;
  std::vector<std::int64_t> inner_grid_;  ///< of one shard
  std::int64_t inner_count_ = 1;

  mutable Recent<Index> indices_;
  mutable Recent<ByteSource> files_;
};

/// The byte ranges of `count` inner chunks in a shard of `shard_bytes`, from its index (offset and
/// length of each, then the checksum if `metadata` has one). \throws Error(input) for a wrong
/// checksum and for ranges that do not lie in the shard
[[nodiscard]] std::vector<Range> parse_shard_index(std::span<const std::byte> index,
                                                   std::int64_t count, const ZarrMetadata& metadata,
                                                   std::int64_t shard_bytes);

/// The index of a shard whose inner chunks lie there (empty: not written), with its checksum.
[[nodiscard]] Bytes make_shard_index(std::span<const Range> chunks);

/// A whole shard file from its inner chunks (nothing: not written) in row-major order; the index,
/// with its checksum, at the end.
[[nodiscard]] Bytes assemble_shard(std::span<const std::optional<Bytes>> chunks);

}  // namespace cellmill
