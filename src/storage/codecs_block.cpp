#include <blosc.h>
#include <fmt/format.h>
#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"

namespace cellmill {

namespace {

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

ZSTD_DCtx* zstd_decoder() {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeZstd> context(ZSTD_createDCtx());
  if (!context) throw io_error("no memory for a zstd decoder");
  ZSTD_DCtx_reset(context.get(), ZSTD_reset_session_only);
  return context.get();
}

[[noreturn]] void zstd_fault(std::size_t status) {
  throw input_error(fmt::format("zstd frame: {}", ZSTD_getErrorName(status)));
}

void expect_length(const char* codec, std::size_t found, std::size_t expected) {
  if (found != expected) {
    throw input_error(
        fmt::format("{} data decode to {} bytes, expected {}", codec, found, expected));
  }
}

void expect_at_most(const char* codec, std::size_t found, std::size_t most) {
  if (found > most) {
    throw input_error(
        fmt::format("{} data decode to {} bytes, expected at most {}", codec, found, most));
  }
}

std::size_t lz4_size(std::span<const std::byte> in) {
  std::uint32_t size = 0;
  if (in.size() < sizeof size) throw input_error("lz4 data end before their length");
  for (std::size_t i = 0; i < sizeof size; ++i) {
    size |= std::to_integer<std::uint32_t>(in[i]) << (8 * i);
  }
  return size;
}

}  // namespace

void zstd_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  const std::size_t size =
      ZSTD_decompressDCtx(zstd_decoder(), out.data(), out.size(), in.data(), in.size());
  if (ZSTD_isError(size)) zstd_fault(size);
  expect_length("zstd", size, out.size());
}

Bytes zstd_decode_unsized(std::span<const std::byte> in, std::size_t most) {
  most = std::min(most, std::numeric_limits<std::size_t>::max() - 1);
  // The length in a frame's header is a claim, and streaming writers leave it out: grow instead.
  ZSTD_DCtx* const context = zstd_decoder();
  ZSTD_inBuffer input{in.data(), in.size(), 0};
  Bytes out(std::min(std::max<std::size_t>(in.size() * 4, 4096), most + 1));
  ZSTD_outBuffer output{out.data(), out.size(), 0};
  std::size_t left = 1;
  while (input.pos < input.size || left != 0) {
    if (output.pos == output.size) {
      expect_at_most("zstd", output.pos, most);
      out.resize(std::min(out.size() * 2, most + 1));
      output.dst = out.data();
      output.size = out.size();
    }
    left = ZSTD_decompressStream(context, &output, &input);
    if (ZSTD_isError(left)) zstd_fault(left);
    if (left != 0 && input.pos == input.size && output.pos < output.size) {
      throw input_error("zstd frame ends early");
    }
  }
  expect_at_most("zstd", output.pos, most);
  out.resize(output.pos);
  return out;
}

Bytes zstd_encode(std::span<const std::byte> in, int level) {
  thread_local const std::unique_ptr<ZSTD_CCtx, FreeZstd> context(ZSTD_createCCtx());
  if (!context) throw io_error("no memory for a zstd encoder");
  Bytes out(ZSTD_compressBound(in.size()));
  const std::size_t size =
      ZSTD_compressCCtx(context.get(), out.data(), out.size(), in.data(), in.size(), level);
  if (ZSTD_isError(size)) throw io_error(fmt::format("zstd: {}", ZSTD_getErrorName(size)));
  out.resize(size);
  return out;
}

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
  // One internal thread: we are parallel over chunks.
  const int size = blosc_decompress_ctx(in.data(), out.data(), out.size(), 1);
  if (size < 0 || static_cast<std::size_t>(size) != out.size()) {
    throw input_error("blosc data are corrupt, or their codec is not in this libblosc");
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

void lz4_block_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  constexpr std::size_t most = std::numeric_limits<int>::max();
  if (in.size() > most || out.size() > most) throw input_error("lz4 block of over 2 GiB");
  const int size = LZ4_decompress_safe(reinterpret_cast<const char*>(in.data()),
                                       reinterpret_cast<char*>(out.data()),
                                       static_cast<int>(in.size()), static_cast<int>(out.size()));
  if (size < 0) throw input_error("lz4 block is corrupt or decodes to more than expected");
  expect_length("lz4", static_cast<std::size_t>(size), out.size());
}

void lz4_sized_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  expect_length("lz4", lz4_size(in), out.size());
  lz4_block_decode(in.subspan(sizeof(std::uint32_t)), out);
}

Bytes lz4_sized_decode_unsized(std::span<const std::byte> in, std::size_t most) {
  // A block's bytes give at most 255 each, whatever the length in front claims.
  const std::size_t size = lz4_size(in);
  if (size > in.size() * 255) throw input_error("lz4 length is impossible");
  expect_at_most("lz4", size, most);
  Bytes out(size);
  lz4_sized_decode(in, out);
  return out;
}

}  // namespace cellmill
