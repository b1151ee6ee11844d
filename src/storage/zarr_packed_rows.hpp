#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "cellmill/storage/array.hpp"
#include "storage/packed_rows_unpack.hpp"
#include "storage/zarr_metadata.hpp"

namespace cellmill {

/// The chunks of an array whose elements become bytes by our own codec.
class ZarrPackedRows final : public PackedRows {
 public:
  /// \param info,metadata of the array; they must outlive this
  ZarrPackedRows(const ArrayInfo& info, const ZarrMetadata& metadata);

  /// Whether nothing but checksums was done to the packed rows, so that PackedRows can get at them.
  [[nodiscard]] bool rows_lie_open() const { return open_; }

  void verify(const EncodedChunk& encoded) const override;
  using PackedRows::decode;
  void decode(std::span<const PackedPart> parts, std::span<std::int32_t> out,
              Landing landing) const override;
  void decode(std::span<const PackedPart> parts, std::span<float> out,
              Landing landing) const override;

  /// Elements [part) of a chunk that is not missing, as native elements, its checksums verified.
  /// Errors don't name the chunk.
  void unpack(const EncodedChunk& encoded, Range part, std::span<std::byte> out) const;

 private:
  template <class T>
  void decode_parts(std::span<const PackedPart> parts, std::span<T> out, Landing landing) const;
  template <class T>
  void decode_place(const std::optional<PackedPlace>& place, std::span<T> out,
                    const UnpackOptions& options) const;
  /// A part's chunk, its table on the way to the caches; nothing if it is missing.
  [[nodiscard]] std::optional<PackedPlace> open(const PackedPart& part) const;
  void expect_elements(const PackedChunk& packed, std::int64_t chunk) const;
  /// Runs `body`; its errors get the array's location and the chunk put in front.
  template <class Body>
  decltype(auto) in_chunk(std::int64_t chunk, Body&& body) const;

  const ArrayInfo& info_;
  const ZarrMetadata& metadata_;
  std::int64_t chunk_count_;
  std::size_t checksum_bytes_;
  bool open_;
};

}  // namespace cellmill
