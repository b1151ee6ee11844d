#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "cellmill/storage/group.hpp"
#include "storage/codecs.hpp"

namespace cellmill {

/// One codec from bytes to bytes, of Zarr v2 (a filter or the compressor) or v3.
struct ByteCodec {
  enum class Kind { gzip, zlib, zstd, blosc, lz4, shuffle, crc32c, crc32, adler32 };
  Kind kind = Kind::zstd;
  int level = 0;
  std::string inner;  ///< blosc's own codec
  BloscShuffle blosc_shuffle = BloscShuffle::none;
  std::size_t element_size = 1;  ///< blosc, shuffle
  std::size_t block_bytes = 0;   ///< blosc, when it encodes; 0: its own choice
  bool checksum_first = false;   ///< it stands in front of the bytes; numcodecs' own ones
};

/// Of the codec shuffle, in bytes.
constexpr std::int64_t largest_shuffled_element = std::int64_t{1} << 16;

[[nodiscard]] const char* codec_name(ByteCodec::Kind kind);
/// Whether it only adds a checksum.
[[nodiscard]] bool is_checksum(ByteCodec::Kind kind);
constexpr std::size_t checksum_size = 4;

/// From `{"id": …}` (v2) or `{"name": …, "configuration": …}` (v3).
/// \throws Error(input) naming a codec that isn't supported
[[nodiscard]] ByteCodec parse_byte_codec(const nlohmann::json& codec, std::size_t element_size);
[[nodiscard]] nlohmann::json byte_codec_json(const ByteCodec& codec, StoreFormat format);
/// The codecs that an ArraySpec means, perhaps none.
[[nodiscard]] std::vector<ByteCodec> spec_codecs(const ArraySpec& spec, std::size_t element_size);
/// `zstd(3)`, `blosc(lz4)`, `none` …
[[nodiscard]] std::string describe(std::span<const ByteCodec> codecs);

/// Encoded bytes are never more than twice the decoded ones and these.
constexpr std::size_t codec_headers = std::size_t{1} << 20;

/// Codecs in the order in which they encode. Decoding fills `out` exactly.
void decode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in,
                  std::span<std::byte> out);
/// What the first codec was given: `in` without its checksums, or decoded into `held`, at most
/// `most` bytes.
[[nodiscard]] std::span<const std::byte> decode_bytes_view(std::span<const ByteCodec> codecs,
                                                           std::span<const std::byte> in,
                                                           std::size_t most, Bytes& held);

/// Bytes [begin, begin + part.size()) of the `whole` that are decoded, if that is quicker than
/// decoding all of them; false, and nothing done, if not. A checksum that gzip puts behind all
/// bytes is not checked, so a part that reaches to the last of the `filled` bytes, behind which the
/// array ends, is not quicker: who reads all checks all.
[[nodiscard]] bool decode_bytes_part(std::span<const ByteCodec> codecs,
                                     std::span<const std::byte> in, std::size_t whole,
                                     std::size_t filled, std::size_t begin,
                                     std::span<std::byte> part);
/// Of at most `most` bytes.
[[nodiscard]] Bytes decode_bytes_unsized(std::span<const ByteCodec> codecs,
                                         std::span<const std::byte> in, std::size_t most);
[[nodiscard]] Bytes encode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in);

}  // namespace cellmill
