#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "storage/byte_store.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

/// Finds and reads the inner chunks of a sharded array. Remembers the indices of the shards used
/// last, and keeps their files open. Thread-safe.
class ShardReader {
 public:
  /// \param path of the array in the store
  ShardReader(std::shared_ptr<const ByteStore> store, std::string path,
              const ZarrMetadata& metadata);

  /// The bytes of the inner chunk at these coordinates (in the grid of all inner chunks); nothing
  /// if it was never written.
  [[nodiscard]] std::optional<Bytes> read(std::span<const std::int64_t> inner) const;
  [[nodiscard]] std::int64_t encoded_bytes(std::span<const std::int64_t> inner) const;

 private:
  struct Shard {
    std::unique_ptr<ByteSource> file;
    std::vector<Range> chunks;  ///< in bytes of the file; empty if never written
  };
  /// The shard's number and the inner chunk's number in it.
  struct Place {
    std::int64_t shard = 0;
    std::int64_t inner = 0;
  };
  [[nodiscard]] Place place(std::span<const std::int64_t> inner) const;
  [[nodiscard]] std::shared_ptr<const Shard> shard(std::int64_t number) const;
  [[nodiscard]] std::shared_ptr<const Shard> load(std::int64_t number) const;
  void forget_old() const;

  std::shared_ptr<const ByteStore> store_;
  std::string path_;
  ZarrMetadata metadata_;
  std::vector<std::int64_t> shard_grid_;
  std::vector<std::int64_t> inner_grid_;  ///< of one shard
  std::int64_t inner_count_ = 1;

  mutable std::mutex mutex_;
  /// Most recently used first; no shard where its file is missing.
  mutable std::list<std::pair<std::int64_t, std::shared_ptr<const Shard>>> recent_;
};

/// A whole shard file from its inner chunks (nothing: not written) in row-major order; the index,
/// with its checksum, at the end.
[[nodiscard]] Bytes assemble_shard(std::span<const std::optional<Bytes>> chunks);

}  // namespace cellmill
