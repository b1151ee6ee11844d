#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/packed_rows.hpp"

namespace cellmill {

class OutputFile;

/// Encodes chunks of a 1-D Zarr v3 array apart from where they go, so that chunks are encoded in
/// parallel and written in order. Thread-safe.
class ChunkEncoder {
 public:
  /// \param spec whose `chunk_shape` and what follows it count, not `shape`
  /// \param kind of the elements, where the codec is "packed_rows"
  explicit ChunkEncoder(const ArraySpec& spec, PackedKind kind = PackedKind::counts);
  ~ChunkEncoder();
  ChunkEncoder(ChunkEncoder&&) noexcept;
  ChunkEncoder& operator=(ChunkEncoder&&) noexcept;

  /// \param elements of a chunk, native; the array's last chunk may have fewer: zeros follow them
  /// \param first where the chunk begins in the array \param row_ends as for pack_chunk(); not
  /// looked at for other codecs than "packed_rows"
  [[nodiscard]] RawVector<std::byte> encode(std::span<const std::byte> elements, std::int64_t first,
                                            std::span<const std::int64_t> row_ends) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// One shard of a 1-D Zarr v3 array, written chunk by chunk: a shard is never held in memory. The
/// array's own document is written by Group::create_array, before or after. One thread at a time.
class ShardFile {
 public:
  /// Makes or replaces the shard's file. \param array the array's folder \param shard its number
  /// \param most_chunks that it can have, as the array's shape of a shard says
  ShardFile(const std::filesystem::path& array, std::int64_t shard, std::int64_t most_chunks);
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;
  /// Closes the file; without finish() it is no shard.
  ~ShardFile();

  /// The next chunk, encoded. \throws Error(io), saying how much was wanted, if the disk is full
  void append(std::span<const std::byte> chunk);
  [[nodiscard]] std::int64_t chunks() const { return static_cast<std::int64_t>(chunks_.size()); }
  [[nodiscard]] bool full() const { return chunks() == most_chunks_; }
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }
  /// Writes the index behind the chunks; those that are not there read as the fill value.
  void finish();

 private:
  std::unique_ptr<OutputFile> file_;
  std::int64_t most_chunks_;
  std::int64_t bytes_ = 0;
  std::vector<Range> chunks_;  ///< bytes of the file
};

/// Checks a shard that an interrupted process left: its index, and the crc32c of each of its
/// chunks, of which there must be `chunks`. \throws Error(input) saying what is wrong
void verify_shard(const std::filesystem::path& array, std::int64_t shard, std::int64_t most_chunks,
                  std::int64_t chunks);

}  // namespace cellmill
