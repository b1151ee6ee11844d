#include <blosc.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"
#include "storage/decoded_length.hpp"

namespace cellmill {

namespace {

[[noreturn]] void blosc_fault() {
  throw input_error("blosc data are corrupt, or their codec is not in this libblosc");
}

/// A buffer of LZ4 or Zstandard blocks, shuffled by bytes or not: what AnnData's stores hold. These
/// are decoded here and not by libblosc, which allocates for every call (a context of Zstandard
/// too) and decodes straight to where the bytes go. Layout, all little-endian: 16 bytes of header;
/// where each block starts, 32 bits each; blocks. A block is one stream, or as many as an element
/// has bytes, each behind its length (32 bits), and stored as it is where it did not shrink; the
/// last block, if shorter, is one stream.
struct Frame {
  std::span<const std::byte> bytes;
  std::size_t whole = 0;  ///< decoded bytes
  std::size_t block = 0;  ///< decoded bytes of each block but the last
  std::size_t type_size = 0;
  bool zstd = false;
  bool shuffled = false;
  bool split = false;

  [[nodiscard]] std::size_t blocks() const { return (whole + block - 1) / block; }
  [[nodiscard]] std::size_t size_of(std::size_t i) const {
    return std::min(block, whole - i * block);
  }
};

std::uint32_t load32(std::span<const std::byte> bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < sizeof value; ++i) {
    value |= std::to_integer<std::uint32_t>(bytes[at + i]) << (8 * i);
  }
  return value;
}

/// Of a buffer that blosc_decoded_size() has seen. Nothing if it is one for libblosc.
std::optional<Frame> frame_of(std::span<const std::byte> in) {
  const auto byte = [&](std::size_t at) { return std::to_integer<unsigned>(in[at]); };
  constexpr unsigned never_split = 0x10;
  constexpr std::size_t smallest_stream = 128;  // blocks of smaller ones were not always split
  const unsigned flags = byte(2);
  const unsigned inner = flags >> 5U;
  Frame frame{.bytes = in, .whole = load32(in, 4), .block = load32(in, 8), .type_size = byte(3)};
  frame.zstd = inner == BLOSC_ZSTD_FORMAT;
  frame.shuffled = (flags & BLOSC_DOSHUFFLE) != 0 && frame.type_size > 1;
  frame.split = (flags & never_split) == 0;
  const bool known = byte(0) == BLOSC_VERSION_FORMAT && byte(1) == 1 &&
                     (inner == BLOSC_LZ4_FORMAT || frame.zstd) &&
                     (flags & (BLOSC_MEMCPYED | BLOSC_DOBITSHUFFLE)) == 0;
  const bool usual = (frame.type_size == 1 || frame.type_size == 2 || frame.type_size == 4 ||
                      frame.type_size == 8) &&
                     frame.block >= smallest_stream * frame.type_size &&
                     frame.block <= frame.whole && frame.block % frame.type_size == 0;
  if (!known || !usual) return std::nullopt;
  if (frame.blocks() > (in.size() - BLOSC_MIN_HEADER_LENGTH) / sizeof(std::uint32_t)) {
    throw input_error(
        fmt::format("blosc buffer of {} bytes claims {} blocks", in.size(), frame.blocks()));
  }
  return frame;
}

/// The streams of block `i`, one after the other.
void decode_streams(const Frame& frame, std::size_t i, std::span<std::byte> out) {
  const std::size_t start =
      load32(frame.bytes, BLOSC_MIN_HEADER_LENGTH + i * sizeof(std::uint32_t));
  if (start > frame.bytes.size()) throw input_error("starts behind the end");
  std::span<const std::byte> left = frame.bytes.subspan(start);
  const bool split = frame.split && out.size() == frame.block;
  const std::size_t streams = split ? frame.type_size : 1;
  const std::size_t size = out.size() / streams;
  for (std::size_t s = 0; s < streams; ++s) {
    if (left.size() < sizeof(std::uint32_t)) throw input_error("ends early");
    const std::size_t stored = load32(left, 0);
    left = left.subspan(sizeof(std::uint32_t));
    if (stored > left.size()) throw input_error("ends early");
    const std::span<const std::byte> stream = left.first(stored);
    const std::span<std::byte> to = out.subspan(s * size, size);
    left = left.subspan(stored);
    if (stored == size) {
      std::memcpy(to.data(), stream.data(), size);
    } else if (frame.zstd) {
      zstd_decode(stream, to);
    } else {
      lz4_block_decode(stream, to);
    }
  }
}

/// Bytes that are used again by the thread; one buffer a purpose.
enum class Room { planes, block };
template <Room Purpose>
std::span<std::byte> room(std::size_t bytes) {
  thread_local Bytes buffer;
  if (buffer.size() < bytes) resize_for_reuse(buffer, bytes);
  return std::span(buffer).first(bytes);
}

void decode_block(const Frame& frame, std::size_t i, std::span<std::byte> out) {
  try {
    if (!frame.shuffled) return decode_streams(frame, i, out);
    const std::span<std::byte> planes = room<Room::planes>(out.size());
    decode_streams(frame, i, planes);
    unshuffle(planes, out, frame.type_size);
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("blosc block {}: {}", i, error.what()));
  }
}

void decode_part_by_library(std::span<const std::byte> in, std::size_t whole, std::size_t begin,
                            std::span<std::byte> out) {
  std::size_t type_size = 0;
  int flags = 0;
  blosc_cbuffer_metainfo(in.data(), &type_size, &flags);
  // Elements as large as the buffer says are all that it gives; the buffer may say anything.
  if (type_size == 0 || begin % type_size != 0 || out.size() % type_size != 0) {
    const std::span<std::byte> all = room<Room::block>(whole);
    blosc_decode(in, all);
    std::memcpy(out.data(), all.data() + begin, out.size());
    return;
  }
  const int size = blosc_getitem(in.data(), static_cast<int>(begin / type_size),
                                 static_cast<int>(out.size() / type_size), out.data());
  if (size < 0 || static_cast<std::size_t>(size) != out.size()) blosc_fault();
}

}  // namespace

std::size_t blosc_decoded_size(std::span<const std::byte> in) {
  std::size_t size = 0;
  // The check reads the header before it looks at the length.
  if (in.size() < BLOSC_MIN_HEADER_LENGTH ||
      blosc_cbuffer_validate(in.data(), in.size(), &size) != 0) {
    throw input_error("blosc header is corrupt or the buffer ends early");
  }
  return size;
}

void blosc_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  expect_length("blosc", blosc_decoded_size(in), out.size());
  if (out.empty()) return;
  if (const std::optional<Frame> frame = frame_of(in)) {
    for (std::size_t i = 0; i < frame->blocks(); ++i) {
      decode_block(*frame, i, out.subspan(i * frame->block, frame->size_of(i)));
    }
    return;
  }
  // One internal thread: we are parallel over chunks.
  const int size = blosc_decompress_ctx(in.data(), out.data(), out.size(), 1);
  if (size < 0 || static_cast<std::size_t>(size) != out.size()) blosc_fault();
}

void blosc_decode_part(std::span<const std::byte> in, std::size_t whole, std::size_t begin,
                       std::span<std::byte> out) {
  expect_length("blosc", blosc_decoded_size(in), whole);
  if (out.size() > whole || begin > whole - out.size()) {
    throw input_error(fmt::format("bytes {}–{} of {} asked for", begin, begin + out.size(), whole));
  }
  if (out.empty()) return;
  const std::optional<Frame> frame = frame_of(in);
  if (!frame) return decode_part_by_library(in, whole, begin, out);
  const std::size_t end = begin + out.size();
  std::byte* to = out.data();
  for (std::size_t i = begin / frame->block; i * frame->block < end; ++i) {
    const std::size_t first = i * frame->block;
    const std::span<std::byte> block = room<Room::block>(frame->size_of(i));
    decode_block(*frame, i, block);
    const std::size_t from = std::max(begin, first) - first;
    const std::size_t bytes = std::min(end - first, block.size()) - from;
    std::memcpy(to, block.data() + from, bytes);
    to += bytes;
  }
}

Bytes blosc_decode_unsized(std::span<const std::byte> in, std::size_t most) {
  const std::size_t size = blosc_decoded_size(in);
  expect_at_most("blosc", size, most);
  Bytes out(size);
  blosc_decode(in, out);
  return out;
}

Bytes blosc_encode(std::span<const std::byte> in, std::size_t type_size, const std::string& codec,
                   int level, BloscShuffle shuffle, std::size_t block_bytes) {
  if (in.size() > BLOSC_MAX_BUFFERSIZE) {
    throw input_error(
        fmt::format("blosc takes chunks of at most {} bytes, not {}: choose smaller chunks",
                    BLOSC_MAX_BUFFERSIZE, in.size()));
  }
  Bytes out(in.size() + BLOSC_MAX_OVERHEAD);
  const int mode = shuffle == BloscShuffle::none   ? BLOSC_NOSHUFFLE
                   : shuffle == BloscShuffle::byte ? BLOSC_SHUFFLE
                                                   : BLOSC_BITSHUFFLE;
  const int size = blosc_compress_ctx(level, mode, type_size, in.size(), in.data(), out.data(),
                                      out.size(), codec.c_str(), block_bytes, 1);
  if (size <= 0) throw io_error(fmt::format("blosc can't compress with '{}'", codec));
  out.resize(static_cast<std::size_t>(size));
  return out;
}

}  // namespace cellmill
