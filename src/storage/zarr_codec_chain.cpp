#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "cellmill/core/error.hpp"
#include "storage/zarr_codecs.hpp"

namespace cellmill {

namespace {

using Kind = ByteCodec::Kind;

std::uint32_t checksum(Kind kind, std::span<const std::byte> bytes) {
  if (kind == Kind::crc32c) return crc32c(bytes);
  return kind == Kind::crc32 ? crc32(bytes) : adler32(bytes);
}

/// The bytes without their checksum, which is right.
std::span<const std::byte> verified(const ByteCodec& codec, std::span<const std::byte> in) {
  constexpr std::size_t size = checksum_size;
  if (in.size() < size) {
    throw input_error(fmt::format("too short for its {}", codec_name(codec.kind)));
  }
  const auto stored = codec.checksum_first ? in.first(size) : in.last(size);
  const auto bytes = in.subspan(codec.checksum_first ? size : 0, in.size() - size);
  std::uint32_t expected = 0;
  for (std::size_t i = 0; i < size; ++i) {
    expected |= std::to_integer<std::uint32_t>(stored[i]) << (8 * i);
  }
  const std::uint32_t found = checksum(codec.kind, bytes);
  if (found != expected) {
    throw input_error(
        fmt::format("{} is {:08x}, expected {:08x}", codec_name(codec.kind), found, expected));
  }
  return bytes;
}

void decode_one(const ByteCodec& codec, std::span<const std::byte> in, std::span<std::byte> out) {
  switch (codec.kind) {
    case Kind::gzip:
      return inflate_gzip(in, out);
    case Kind::zlib:
      return inflate_zlib(in, out);
    case Kind::zstd:
      return zstd_decode(in, out);
    case Kind::blosc:
      return blosc_decode(in, out);
    case Kind::lz4:
      return lz4_sized_decode(in, out);
    case Kind::shuffle:
      return unshuffle(in, out, codec.element_size);
    case Kind::crc32c:
    case Kind::crc32:
    case Kind::adler32:
      break;  // no bytes move: the callers do it
  }
}

Bytes decode_one_unsized(const ByteCodec& codec, std::span<const std::byte> in, std::size_t most) {
  switch (codec.kind) {
    case Kind::gzip:
      return inflate_gzip_unsized(in, most);
    case Kind::zlib:
      return inflate_zlib_unsized(in, most);
    case Kind::zstd:
      return zstd_decode_unsized(in, most);
    case Kind::blosc:
      return blosc_decode_unsized(in, most);
    case Kind::lz4:
      return lz4_sized_decode_unsized(in, most);
    case Kind::shuffle: {
      Bytes out(in.size());
      unshuffle(in, out, codec.element_size);
      return out;
    }
    case Kind::crc32c:
    case Kind::crc32:
    case Kind::adler32:
      break;
  }
  return {in.begin(), in.end()};
}

void copy_exactly(std::span<const std::byte> in, std::span<std::byte> out) {
  if (in.size() != out.size()) {
    throw input_error(fmt::format("has {} bytes, expected {}", in.size(), out.size()));
  }
  if (!in.empty()) std::memcpy(out.data(), in.data(), in.size());
}

void append_u32(Bytes& out, std::size_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<std::byte>(value >> shift & 0xFF));
  }
}

}  // namespace

void decode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in,
                  std::span<std::byte> out) {
  Bytes between;
  for (std::size_t i = codecs.size(); i-- > 0;) {
    if (is_checksum(codecs[i].kind)) {
      in = verified(codecs[i], in);
      continue;
    }
    if (i == 0) return decode_one(codecs[i], in, out);  // the usual case: no copy
    // What the codec before made of `out`: hardly more than that.
    Bytes next = decode_one_unsized(codecs[i], in, 2 * out.size() + codec_headers);
    between = std::move(next);
    in = between;
  }
  copy_exactly(in, out);
}

bool decode_bytes_part(std::span<const ByteCodec> codecs, std::span<const std::byte> in,
                       std::size_t whole, std::size_t filled, std::size_t begin,
                       std::span<std::byte> part) {
  if (part.empty()) return true;
  if (codecs.size() > 1 && part.size() == whole) return false;
  std::size_t left = codecs.size();
  // Checksums, then one codec: what nearly every array has.
  for (; left > 0 && is_checksum(codecs[left - 1].kind); --left) {
    in = verified(codecs[left - 1], in);
  }
  if (left > 1) return false;
  if (left == 0) {
    if (in.size() != whole) {
      throw input_error(fmt::format("has {} bytes, expected {}", in.size(), whole));
    }
    std::memcpy(part.data(), in.data() + begin, part.size());
    return true;
  }
  const Kind kind = codecs[0].kind;
  if (kind == Kind::blosc) {
    blosc_decode_part(in, whole, begin, part);
    return true;
  }
  const std::size_t end = begin + part.size();
  if ((kind != Kind::gzip && kind != Kind::zlib) || end >= filled) return false;
  thread_local Bytes prefix;
  if (begin > 0) prefix.resize(std::max(prefix.size(), end));
  const std::span<std::byte> to = begin == 0 ? part : std::span(prefix).first(end);
  if (kind == Kind::gzip) {
    inflate_gzip_prefix(in, to, whole);
  } else {
    inflate_zlib_prefix(in, to, whole);
  }
  if (begin > 0) std::memcpy(part.data(), to.data() + begin, part.size());
  return true;
}

std::span<const std::byte> decode_bytes_view(std::span<const ByteCodec> codecs,
                                             std::span<const std::byte> in, std::size_t most,
                                             Bytes& held) {
  for (std::size_t i = codecs.size(); i-- > 0;) {
    if (is_checksum(codecs[i].kind)) {
      in = verified(codecs[i], in);
      continue;
    }
    Bytes next = decode_one_unsized(codecs[i], in, most);
    held = std::move(next);
    in = held;
  }
  return in;
}

Bytes decode_bytes_unsized(std::span<const ByteCodec> codecs, std::span<const std::byte> in,
                           std::size_t most) {
  Bytes between;
  in = decode_bytes_view(codecs, in, most, between);
  if (in.data() != between.data() || in.size() != between.size()) return {in.begin(), in.end()};
  return between;
}

Bytes encode_bytes(std::span<const ByteCodec> codecs, std::span<const std::byte> in) {
  Bytes encoded;
  for (const ByteCodec& codec : codecs) {
    Bytes next;
    switch (codec.kind) {
      case Kind::gzip:
        next = deflate_gzip(in, codec.level);
        break;
      case Kind::zlib:
        next = deflate_zlib(in, codec.level);
        break;
      case Kind::zstd:
        next = zstd_encode(in, codec.level);
        break;
      case Kind::blosc:
        next = blosc_encode(in, codec.element_size, codec.inner, codec.level, codec.blosc_shuffle,
                            codec.block_bytes);
        break;
      case Kind::shuffle:
        next.resize(in.size());
        byte_shuffle(in, next, codec.element_size);
        break;
      case Kind::crc32c:
        next.reserve(in.size() + 4);
        next.assign(in.begin(), in.end());
        append_u32(next, crc32c(in));
        break;
      case Kind::lz4:
      case Kind::crc32:
      case Kind::adler32:
        throw input_error(
            fmt::format("writing with codec '{}' is not supported", codec_name(codec.kind)));
    }
    encoded = std::move(next);
    in = encoded;
  }
  if (codecs.empty()) encoded.assign(in.begin(), in.end());
  return encoded;
}

}  // namespace cellmill
