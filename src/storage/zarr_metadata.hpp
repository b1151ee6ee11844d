#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "storage/zarr_codecs.hpp"
#include "storage/zarr_types.hpp"

namespace cellmill {

enum class IndexLocation { start, end };

/// What an array's metadata document says, Zarr v2 and v3 alike.
struct ZarrMetadata {
  StoreFormat format = StoreFormat::zarr3;
  ZarrElement element;
  std::vector<ZarrField> fields;   ///< of a table in one array, whose `element` means nothing
  std::optional<ZarrField> field;  ///< the one of `fields` that is read as an array of its own
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> chunk_shape;  ///< of the inner chunks, if sharded
  std::vector<std::int64_t> shard_shape;  ///< empty if not sharded
  std::vector<std::byte> fill;            ///< one native element (or one field's of a record)
  std::string fill_text;                  ///< strings only
  nlohmann::json table_fill;              ///< of a table: base64 of a record, or a value a field
  std::vector<std::size_t> order;         ///< axes as stored; empty if as they are
  bool packed_rows = false;               ///< elements become bytes by that codec of ours
  std::vector<ByteCodec> codecs;          ///< of the inner chunks, if sharded
  IndexLocation index_location = IndexLocation::end;
  bool index_checksum = true;     ///< the shard index ends with its crc32c
  bool index_big_endian = false;  ///< the numbers of the shard index
  char separator = '/';
  bool key_prefix = true;  ///< chunk keys begin with `c`

  [[nodiscard]] bool sharded() const { return !shard_shape.empty(); }
  /// The file that holds a chunk or shard, below the array's folder.
  [[nodiscard]] std::string key(std::span<const std::int64_t> coordinates) const;
  /// For messages: a chunk's number, and its file unless it lies in a shard.
  [[nodiscard]] std::string chunk_place(std::int64_t chunk) const;
  [[nodiscard]] ArrayInfo info(std::string location) const;
  /// Elements of one whole chunk, bytes of it as read, and as stored when nothing is encoded; the
  /// last two not for vlen-utf8.
  [[nodiscard]] std::size_t chunk_elements() const;
  [[nodiscard]] std::size_t chunk_bytes() const;
  [[nodiscard]] std::size_t stored_chunk_bytes() const;
  /// No codec makes more bytes of one chunk: more are not read.
  [[nodiscard]] std::int64_t most_encoded_bytes() const;
  /// Nobody's strings make more bytes of vlen-utf8 than this: no room is made for them.
  [[nodiscard]] std::size_t most_text_bytes(std::size_t encoded) const;
  /// Of one field of a table. \throws Error(input) if the table has not one dimension
  [[nodiscard]] ZarrMetadata of_field(const ZarrField& chosen) const;
};

/// From `.zarray`. \throws Error(input) for what is not supported, naming it
[[nodiscard]] ZarrMetadata parse_zarr2(const nlohmann::json& document);
/// From an array's `zarr.json`.
[[nodiscard]] ZarrMetadata parse_zarr3(const nlohmann::json& document);

/// Of a new array. \throws Error(input) where the format can't have it
[[nodiscard]] ZarrMetadata spec_metadata(const ArraySpec& spec, StoreFormat format);
[[nodiscard]] nlohmann::json zarr2_document(const ZarrMetadata& metadata);
[[nodiscard]] nlohmann::json zarr3_document(const ZarrMetadata& metadata);

// Shared by the two parsers
// ------------------------------------------------------------------------------------------------

/// Shapes and chunk shapes, checked: as many, positive chunks, and counts that fit int64.
void check_shapes(const ZarrMetadata& metadata);
/// That elements can be packed rows, if they are. \throws Error(input)
void check_packed(const ZarrMetadata& metadata);
/// The fill value of an array that is no table.
void parse_fill(const nlohmann::json& value, ZarrMetadata& metadata);
[[nodiscard]] std::vector<std::int64_t> parse_shape(const nlohmann::json& value, const char* what);

}  // namespace cellmill
