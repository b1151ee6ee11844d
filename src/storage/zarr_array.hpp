#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/storage/array.hpp"
#include "storage/zarr_metadata.hpp"
#include "storage/zarr_packed_rows.hpp"
#include "storage/zarr_shards.hpp"

namespace cellmill {

/// An array in a Zarr store.
class ZarrArray : public Array {
 public:
  /// \param path in the store \param location for messages
  ZarrArray(std::shared_ptr<const ByteStore> store, std::string path, std::string location,
            ZarrMetadata metadata);

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }
  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override;
  void fetch_many(Range chunks, FetchedChunks& into) const override;
  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override;
  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override;
  void decode_part(const EncodedChunk& encoded, Range part,
                   std::span<std::byte> out) const override;
  [[nodiscard]] const PackedRows* packed_rows() const override {
    return packed_ && packed_->rows_lie_open() ? packed_.get() : nullptr;
  }
  [[nodiscard]] Strings read_strings(Range range) const override;

 private:
  /// An inner chunk of a shard, without its bytes.
  /// \throws Error(input) if no chunk could be decoded in the memory there is
  void expect_room() const;
  StoredChunk find(std::int64_t chunk, EncodedChunk& encoded) const;
  /// A chunk in a file of its own.
  void fetch_file(std::int64_t chunk, EncodedChunk& encoded) const;
  void fill(std::span<std::byte> out) const;
  /// Elements in the order and byte order of memory.
  void decode_elements(std::span<const std::byte> encoded, std::span<std::byte> out) const;
  /// Whether elements are stored as they are decoded, but for their byte order.
  [[nodiscard]] bool stored_in_order() const {
    return metadata_.order.empty() && !metadata_.field && !metadata_.element.half;
  }
  void take_field(std::span<const std::byte> records, std::span<std::byte> out) const;
  void transpose(std::span<const std::byte> stored, std::span<std::byte> out) const;
  /// Of the array's axes, in a chunk as it is stored, if it is stored in another order.
  [[nodiscard]] std::vector<std::int64_t> stored_strides() const;
  /// Strings [part) of a chunk, in C order of the chunk.
  void decode_strings(const EncodedChunk& encoded, Range part, Strings& to) const;
  [[nodiscard]] std::string chunk_key(std::int64_t chunk) const;
  /// Runs `body`; its errors get the array's location and the chunk put in front.
  template <class Body>
  decltype(auto) in_chunk(std::int64_t chunk, Body&& body) const;

  std::shared_ptr<const ByteStore> store_;
  std::string path_;
  ZarrMetadata metadata_;
  ArrayInfo info_;
  std::vector<std::int64_t> grid_;
  std::unique_ptr<ShardReader> shards_;     ///< if sharded
  std::unique_ptr<ZarrPackedRows> packed_;  ///< if of packed rows
};

}  // namespace cellmill
