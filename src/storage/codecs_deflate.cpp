#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"

#ifdef CELLMILL_HAVE_ISAL
#include <isa-l/igzip_lib.h>

#include "storage/vector_registers.hpp"
#endif

namespace cellmill {

namespace {

enum class Wrapper { zlib, gzip, raw };

const char* wrapper_name(Wrapper wrapper) {
  return wrapper == Wrapper::zlib ? "zlib" : (wrapper == Wrapper::gzip ? "gzip" : "deflate");
}

[[noreturn]] void too_long(Wrapper wrapper, std::size_t expected) {
  throw input_error(fmt::format("{} stream decodes to more than the {} bytes expected",
                                wrapper_name(wrapper), expected));
}

struct Decompressor {
  libdeflate_decompressor* handle = libdeflate_alloc_decompressor();
  Decompressor() = default;
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
  ~Decompressor() { libdeflate_free_decompressor(handle); }
};

/// What one stream (zlib) or member (gzip) took and gave.
struct Inflated {
  std::size_t read = 0;
  std::size_t written = 0;
  bool overflow = false;  ///< `out` was too small
};

Inflated inflate_libdeflate(Wrapper wrapper, std::span<const std::byte> in,
                            std::span<std::byte> out) {
  thread_local Decompressor decompressor;
  if (!decompressor.handle) throw io_error("no memory for a deflate decoder");
  Inflated done;
  const auto decode = wrapper == Wrapper::zlib   ? libdeflate_zlib_decompress_ex
                      : wrapper == Wrapper::gzip ? libdeflate_gzip_decompress_ex
                                                 : libdeflate_deflate_decompress_ex;
  switch (decode(decompressor.handle, in.data(), in.size(), out.data(), out.size(), &done.read,
                 &done.written)) {
    case LIBDEFLATE_SUCCESS:
      break;
    case LIBDEFLATE_INSUFFICIENT_SPACE:
      done.overflow = true;
      break;
    default:
      throw input_error(fmt::format("{} stream is corrupt or ends early", wrapper_name(wrapper)));
  }
  return done;
}

#ifdef CELLMILL_HAVE_ISAL
[[noreturn]] void ends_early(Wrapper wrapper) {
  throw input_error(fmt::format("{} stream ends early", wrapper_name(wrapper)));
}

const char* isal_fault(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK:
      return "has an invalid block";
    case ISAL_INVALID_SYMBOL:
      return "has an invalid symbol";
    case ISAL_INVALID_LOOKBACK:
      return "refers to bytes before its start";
    case ISAL_INVALID_WRAPPER:
      return "has a wrong header";
    case ISAL_INCORRECT_CHECKSUM:
      return "has a wrong checksum";
    case ISAL_NEED_DICT:
      return "needs a dictionary";
    default:
      return "is corrupt";
  }
}

Inflated inflate_one(Wrapper wrapper, std::span<const std::byte> in, std::span<std::byte> out) {
  constexpr std::size_t limit = std::numeric_limits<std::uint32_t>::max();
  if (in.size() > limit || out.size() > limit) return inflate_libdeflate(wrapper, in, out);
  // 85 KB of tables, most of which need no initialisation: one a thread.
  thread_local const auto state = std::make_unique<inflate_state>();
  isal_inflate_init(state.get());
  state->crc_flag = wrapper == Wrapper::zlib   ? ISAL_ZLIB
                    : wrapper == Wrapper::gzip ? ISAL_GZIP
                                               : ISAL_DEFLATE;
  // The library's pointers lack const; it does not write through next_in.
  state->next_in =
      const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(in.data()));  // NOLINT
  state->avail_in = static_cast<std::uint32_t>(in.size());
  std::byte none{};
  state->next_out = reinterpret_cast<std::uint8_t*>(out.empty() ? &none : out.data());
  state->avail_out = static_cast<std::uint32_t>(out.size());
  const int status = isal_inflate_stateless(state.get());
  clear_upper_halves();
  if (status == ISAL_END_INPUT) ends_early(wrapper);
  if (status != ISAL_DECOMP_OK && status != ISAL_OUT_OVERFLOW) {
    throw input_error(fmt::format("{} stream {}", wrapper_name(wrapper), isal_fault(status)));
  }
  if (status == ISAL_DECOMP_OK && state->block_state != ISAL_BLOCK_FINISH) ends_early(wrapper);
  return {in.size() - state->avail_in, out.size() - state->avail_out, status == ISAL_OUT_OVERFLOW};
}
#else
Inflated inflate_one(Wrapper wrapper, std::span<const std::byte> in, std::span<std::byte> out) {
  return inflate_libdeflate(wrapper, in, out);
}
#endif

[[noreturn]] void wrong_length(Wrapper wrapper, std::size_t found, std::size_t expected) {
  throw input_error(fmt::format("{} stream decodes to {} bytes, expected {}", wrapper_name(wrapper),
                                found, expected));
}

/// Where the length is not known: tries with ever more room, up to what deflate can reach. All
/// members of gzip, the one stream of zlib.
Bytes inflate_growing(Wrapper wrapper, std::span<const std::byte> in, std::size_t most) {
  constexpr std::size_t highest_ratio = 1032;
  Bytes out;
  std::size_t written = 0;
  do {
    const std::size_t limit = std::min(most - written, in.size() * highest_ratio + 64);
    std::size_t room = std::min(std::max<std::size_t>(in.size() * 4, 4096), limit);
    while (true) {
      out.resize(written + room);
      const Inflated done = inflate_libdeflate(wrapper, in, std::span(out).subspan(written));
      if (!done.overflow) {
        written += done.written;
        in = in.subspan(done.read);
        break;
      }
      if (room >= limit) too_long(wrapper, limit);
      room = std::min(room * 4, limit);
    }
  } while (wrapper == Wrapper::gzip && !in.empty());
  out.resize(written);
  return out;
}

/// Compressors are per level and 100s of KB: each thread keeps those it has used.
class Compressors {
 public:
  Compressors() = default;
  Compressors(const Compressors&) = delete;
  Compressors& operator=(const Compressors&) = delete;
  ~Compressors() {
    for (libdeflate_compressor* handle : handles_) libdeflate_free_compressor(handle);
  }
  libdeflate_compressor* get(int level) {
    libdeflate_compressor*& handle = handles_[level];
    if (!handle) handle = libdeflate_alloc_compressor(level);
    if (!handle) throw io_error("no memory for a deflate encoder");
    return handle;
  }

 private:
  libdeflate_compressor* handles_[10] = {};
};

Bytes deflate(Wrapper wrapper, std::span<const std::byte> in, int level) {
  thread_local Compressors compressors;
  libdeflate_compressor* const compressor = compressors.get(std::clamp(level, 0, 9));
  const bool zlib = wrapper == Wrapper::zlib;
  Bytes out(zlib ? libdeflate_zlib_compress_bound(compressor, in.size())
                 : libdeflate_gzip_compress_bound(compressor, in.size()));
  const auto encode = zlib ? libdeflate_zlib_compress : libdeflate_gzip_compress;
  const std::size_t size = encode(compressor, in.data(), in.size(), out.data(), out.size());
  if (size == 0) throw io_error("deflate failed");
  out.resize(size);
  return out;
}

void inflate_exactly(Wrapper wrapper, std::span<const std::byte> in, std::span<std::byte> out) {
  const Inflated done = inflate_one(wrapper, in, out);
  if (done.overflow) too_long(wrapper, out.size());
  if (done.written != out.size()) wrong_length(wrapper, done.written, out.size());
}

/// What inflate_zlib_prefix does, for both wrappers. ISA-L fills what room it has before it says
/// that there is more; libdeflate may not.
void inflate_prefix(Wrapper wrapper, std::span<const std::byte> in, std::span<std::byte> out,
                    [[maybe_unused]] std::size_t whole) {
#ifdef CELLMILL_HAVE_ISAL
  std::size_t written = 0;
  while (written < out.size() && !in.empty()) {
    const Inflated done = inflate_one(wrapper, in, out.subspan(written));
    written += done.written;
    in = in.subspan(done.read);
    if (wrapper == Wrapper::zlib) break;
  }
  if (written < out.size()) ends_early(wrapper);
#else
  thread_local Bytes all;
  all.resize(whole);
  if (wrapper == Wrapper::zlib) {
    inflate_exactly(wrapper, in, all);
  } else {
    inflate_gzip(in, all);
  }
  std::copy_n(all.begin(), out.size(), out.begin());
#endif
}

}  // namespace

void inflate_zlib_prefix(std::span<const std::byte> in, std::span<std::byte> out,
                         std::size_t whole) {
  inflate_prefix(Wrapper::zlib, in, out, whole);
}

void inflate_gzip_prefix(std::span<const std::byte> in, std::span<std::byte> out,
                         std::size_t whole) {
  inflate_prefix(Wrapper::gzip, in, out, whole);
}

void inflate_zlib(std::span<const std::byte> in, std::span<std::byte> out) {
  inflate_exactly(Wrapper::zlib, in, out);
}

void inflate_raw(std::span<const std::byte> in, std::span<std::byte> out) {
  inflate_exactly(Wrapper::raw, in, out);
}

std::uint32_t crc32(std::span<const std::byte> bytes) {
  return libdeflate_crc32(0, bytes.data(), bytes.size());
}

std::uint32_t adler32(std::span<const std::byte> bytes) {
  return libdeflate_adler32(1, bytes.data(), bytes.size());
}

void inflate_gzip(std::span<const std::byte> in, std::span<std::byte> out) {
  std::size_t written = 0;
  do {
    const Inflated done = inflate_one(Wrapper::gzip, in, out.subspan(written));
    if (done.overflow) too_long(Wrapper::gzip, out.size());
    written += done.written;
    in = in.subspan(done.read);
  } while (!in.empty());
  if (written != out.size()) wrong_length(Wrapper::gzip, written, out.size());
}

Bytes inflate_zlib_unsized(std::span<const std::byte> in, std::size_t most) {
  return inflate_growing(Wrapper::zlib, in, most);
}

Bytes inflate_gzip_unsized(std::span<const std::byte> in, std::size_t most) {
  return inflate_growing(Wrapper::gzip, in, most);
}

Bytes deflate_zlib(std::span<const std::byte> in, int level) {
  return deflate(Wrapper::zlib, in, level);
}

Bytes deflate_gzip(std::span<const std::byte> in, int level) {
  return deflate(Wrapper::gzip, in, level);
}

}  // namespace cellmill
