#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/group.hpp"
#include "cellmill/storage/packed_rows.hpp"
#include "cellmill/storage/shard_file.hpp"
#include "train/row_lengths.hpp"

namespace cellmill {

/// A 1-D array of a training store that is written from front to back: elements gather until they
/// fill chunks, which are encoded apart (in parallel) and then written in order. Its document comes
/// last, when its length and type are known; until then it is called NAME-TYPE.
class ElementWriter {
 public:
  /// \param group in which it goes, and that group's folder \param spec whose shape does not count
  /// \param kind as for ChunkEncoder \param shards that an earlier run wrote in this type
  ElementWriter(Group& group, std::filesystem::path folder, std::string name, ArraySpec spec,
                PackedKind kind, std::int64_t shards);

  [[nodiscard]] DType dtype() const { return spec_.dtype; }

  /// Room for the next elements, to be filled at once.
  [[nodiscard]] std::span<std::byte> extend(std::int64_t elements);
  /// Chunks that have all their elements, and are not written.
  [[nodiscard]] std::int64_t full_chunks() const;
  /// Encodes one of them; the one after them is what is left, shorter. Several may be encoded at
  /// once. \param row_ends of the rows that are not wholly written
  [[nodiscard]] RawVector<std::byte> encode(std::int64_t chunk,
                                            std::span<const std::int64_t> row_ends) const;
  /// Whether elements wait that fill no chunk.
  [[nodiscard]] bool has_rest() const;
  /// Writes the first ones, encoded; no more than fit the shard.
  void write(std::span<const RawVector<std::byte>> chunks);
  /// Chunks that still fit the shard.
  [[nodiscard]] std::int64_t room_in_shard() const;
  /// Ends a shard, full or not; the next chunk begins another.
  void finish_shard();
  [[nodiscard]] std::int64_t shards() const { return shards_; }
  /// Checks one that an earlier run wrote. \throws Error(input) saying what is wrong
  void verify(std::int64_t shard) const;
  /// Bytes in all shards, once it is finished.
  [[nodiscard]] std::int64_t bytes() const;

  /// Goes on in a wider type, to which what is written is converted. The narrower elements stay on
  /// disk until remove_narrower(), for a run that is interrupted. \param row_ends of all rows
  void widen(DType dtype, RowLengths::Ends row_ends, Arena& arena);
  void remove_narrower();

  /// The array gets its document and its name. \param elements its length
  void finish(std::int64_t elements);

 private:
  [[nodiscard]] std::string working_name() const;
  void create_document(std::int64_t elements);
  void copy_chunks(const Array& from, RowLengths::Ends row_ends, Arena& arena);
  [[nodiscard]] std::int64_t chunk_bytes() const;
  [[nodiscard]] std::int64_t shard_chunks() const;
  /// In shards, whole or not.
  [[nodiscard]] std::int64_t written_chunks() const;

  Group& group_;
  std::filesystem::path folder_;
  std::string name_;
  ArraySpec spec_;
  PackedKind kind_;
  ChunkEncoder encoder_;
  std::int64_t shards_ = 0;           ///< whole ones
  std::unique_ptr<ShardFile> shard_;  ///< the one being written
  RawVector<std::byte> elements_;     ///< not written yet, after the first `begin_` bytes
  std::size_t begin_ = 0;
  std::string narrower_;  ///< folder to be removed
};

}  // namespace cellmill
