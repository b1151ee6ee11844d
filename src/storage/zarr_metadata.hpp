#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "storage/zarr_codecs.hpp"

namespace cellmill {

/// How strings are kept: not at all, vlen-utf8, or in a fixed number of bytes as UCS-4 (numpy's U)
/// or as bytes (numpy's S).
enum class TextForm { none, vlen_utf8, ucs4, bytes };

enum class IndexLocation { start, end };

/// What an array's metadata document says, Zarr v2 and v3 alike.
struct ZarrMetadata {
  StoreFormat format = StoreFormat::zarr3;
  DType dtype = DType::float32;
  TextForm text = TextForm::none;
  std::size_t element_size = 4;  ///< on disk; 0 for vlen-utf8
  bool big_endian = false;
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> chunk_shape;  ///< of the inner chunks, if sharded
  std::vector<std::int64_t> shard_shape;  ///< empty if not sharded
  std::vector<std::byte> fill;            ///< one native element; numbers only
  std::string fill_text;                  ///< strings only
  std::vector<std::size_t> order;         ///< axes as stored; empty if as they are
  std::vector<ByteCodec> codecs;          ///< of the inner chunks, if sharded
  IndexLocation index_location = IndexLocation::end;
  bool index_checksum = true;  ///< the shard index ends with its crc32c
  char separator = '/';
  bool key_prefix = true;  ///< chunk keys begin with `c`

  [[nodiscard]] bool sharded() const { return !shard_shape.empty(); }
  /// The file that holds a chunk or shard, below the array's folder.
  [[nodiscard]] std::string key(std::span<const std::int64_t> coordinates) const;
  [[nodiscard]] ArrayInfo info(std::string location) const;
  /// Bytes of one whole decoded chunk; not for vlen-utf8.
  [[nodiscard]] std::size_t chunk_bytes() const;
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
/// Numbers from a JSON number, bool, `"NaN"`, `"Infinity"`, `"0x7fc00000"` or null.
[[nodiscard]] std::vector<std::byte> parse_fill(const nlohmann::json& value, DType dtype);
[[nodiscard]] std::vector<std::int64_t> parse_shape(const nlohmann::json& value, const char* what);

}  // namespace cellmill
