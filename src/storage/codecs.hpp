#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/checksum.hpp"

namespace cellmill {

/// Encoded or decoded bytes; `resize` does not fill.
using Bytes = RawVector<std::byte>;

// Decoders fill `out` exactly: bytes that decode to more, to fewer, or to nothing sensible are an
// Error(input) whose message names the codec and what is wrong, but not where (the caller adds
// array and chunk). None reads or writes out of bounds whatever the input. All are thread-safe;
// state that is costly to make is kept per thread. Those named `_unsized` find the length
// themselves; more than `most` bytes are an error, and never is there room made for much more.
// ------------------------------------------------------------------------------------------------

/// A zlib stream (HDF5's deflate filter, numcodecs.zlib); its Adler-32 is checked.
void inflate_zlib(std::span<const std::byte> in, std::span<std::byte> out);
/// Deflate without any wrapper, as zip archives keep it; nothing is checked but its length.
void inflate_raw(std::span<const std::byte> in, std::span<std::byte> out);
/// One or more gzip members; their CRC-32 are checked.
void inflate_gzip(std::span<const std::byte> in, std::span<std::byte> out);
/// The first out.size() of the `whole` bytes that a stream decodes to. Decoding stops there, so its
/// checksum, which follows all of them, is not checked.
void inflate_zlib_prefix(std::span<const std::byte> in, std::span<std::byte> out,
                         std::size_t whole);
void inflate_gzip_prefix(std::span<const std::byte> in, std::span<std::byte> out,
                         std::size_t whole);
[[nodiscard]] Bytes inflate_zlib_unsized(std::span<const std::byte> in, std::size_t most);
[[nodiscard]] Bytes inflate_gzip_unsized(std::span<const std::byte> in, std::size_t most);

/// \param level 0 to 9, as zlib has them (libdeflate's 1–9)
[[nodiscard]] Bytes deflate_zlib(std::span<const std::byte> in, int level);
[[nodiscard]] Bytes deflate_gzip(std::span<const std::byte> in, int level);

void zstd_decode(std::span<const std::byte> in, std::span<std::byte> out);
[[nodiscard]] Bytes zstd_decode_unsized(std::span<const std::byte> in, std::size_t most);
[[nodiscard]] Bytes zstd_encode(std::span<const std::byte> in, int level);

/// What the element bytes go through before blosc compresses them.
enum class BloscShuffle { none, byte, bit };

/// A blosc 1 buffer of any inner codec this libblosc has (the one in the buffer's header).
void blosc_decode(std::span<const std::byte> in, std::span<std::byte> out);
/// Bytes [begin, begin + out.size()) of the `whole` that a blosc buffer decodes to: only its blocks
/// that hold some of them are decoded.
void blosc_decode_part(std::span<const std::byte> in, std::size_t whole, std::size_t begin,
                       std::span<std::byte> out);
/// The decoded length of a blosc buffer that is sound as far as its header and own length show.
[[nodiscard]] std::size_t blosc_decoded_size(std::span<const std::byte> in);
[[nodiscard]] Bytes blosc_decode_unsized(std::span<const std::byte> in, std::size_t most);
/// \param codec `lz4`, `lz4hc`, `zstd`, `zlib`, `blosclz`, `snappy`
/// \param block_bytes that are compressed together; 0: blosc's own choice
[[nodiscard]] Bytes blosc_encode(std::span<const std::byte> in, std::size_t type_size,
                                 const std::string& codec, int level, BloscShuffle shuffle,
                                 std::size_t block_bytes = 0);

/// A bare LZ4 block (no length in front).
void lz4_block_decode(std::span<const std::byte> in, std::span<std::byte> out);
/// numcodecs.lz4: a little-endian 32-bit length, then one block.
void lz4_sized_decode(std::span<const std::byte> in, std::span<std::byte> out);
[[nodiscard]] Bytes lz4_sized_decode_unsized(std::span<const std::byte> in, std::size_t most);

/// LibLZF, as h5py's `lzf` filter (32000) stores it. HDF5 keeps a chunk that doesn't shrink as it
/// is and says so in its filter mask.
void lzf_decode(std::span<const std::byte> in, std::span<std::byte> out);
/// The first out.size() bytes; what follows is not looked at.
void lzf_decode_prefix(std::span<const std::byte> in, std::span<std::byte> out);

/// Byte shuffle (HDF5's filter 2): `in` holds the first bytes of all elements, then the second
/// ones, …; bytes past the last whole element are copied as they are. Sizes must agree; the two
/// must not overlap.
void unshuffle(std::span<const std::byte> in, std::span<std::byte> out, std::size_t element_size);
void byte_shuffle(std::span<const std::byte> in, std::span<std::byte> out,
                  std::size_t element_size);

/// Reverses the bytes of every element in place.
void swap_bytes(std::span<std::byte> elements, std::size_t element_size);

/// CRC-32 of all bytes, as gzip and zip have it.
[[nodiscard]] std::uint32_t crc32(std::span<const std::byte> bytes);
/// Adler-32 of all bytes.
[[nodiscard]] std::uint32_t adler32(std::span<const std::byte> bytes);

}  // namespace cellmill
