#include "storage/hdf5_plugins.hpp"

#include <hdf5.h>

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"
#include "storage/hdf5_filters.hpp"

namespace cellmill::hdf5 {

namespace {

/// Bytes that LZF data decodes to: runs of literals and copies, each behind its length. H5py stores
/// the chunk's size as a parameter, but a wrong one for strings of variable length.
std::size_t lzf_decoded_size(std::span<const std::byte> in) {
  constexpr unsigned longest_literal = 32;
  constexpr unsigned length_follows = 7;
  std::size_t size = 0;
  std::size_t at = 0;
  while (at < in.size()) {
    const auto control = std::to_integer<unsigned>(in[at++]);
    if (control < longest_literal) {
      size += control + 1;
      at += control + 1;
      continue;
    }
    unsigned length = control >> 5U;
    if (length == length_follows && at < in.size()) length += std::to_integer<unsigned>(in[at++]);
    size += length + 2;
    ++at;  // how far back the copy begins
  }
  return size;
}

constexpr std::size_t largest_chunk = std::numeric_limits<std::uint32_t>::max();  // HDF5's own

Bytes decode(int filter, std::span<const std::byte> in) {
  switch (filter) {
    case lzf_filter: {
      Bytes out(lzf_decoded_size(in));
      lzf_decode(in, out);
      return out;
    }
    case blosc_filter:
      return blosc_decode_unsized(in, largest_chunk);
    default:
      return zstd_decode_unsized(in, largest_chunk);
  }
}

/// libhdf5's interface of a filter: replaces the buffer, and returns 0 on failure.
template <int filter>
std::size_t apply(unsigned flags, std::size_t /*count*/, const unsigned* /*parameters*/,
                  std::size_t bytes, std::size_t* buffer_size, void** buffer) {
  if ((flags & H5Z_FLAG_REVERSE) == 0) return 0;
  try {
    const Bytes out = decode(filter, {static_cast<const std::byte*>(*buffer), bytes});
    void* replaced = H5allocate_memory(out.size(), 0);
    if (replaced == nullptr) return 0;
    std::memcpy(replaced, out.data(), out.size());
    H5free_memory(*buffer);
    *buffer = replaced;
    *buffer_size = out.size();
    return out.size();
  } catch (const std::exception&) {  // must not pass through C; libhdf5 says which filter failed
    return 0;
  }
}

template <int filter>
void add(const char* name) {
  if (H5Zfilter_avail(filter) > 0) return;  // by a plugin of the system's
  H5Z_class2_t definition{};
  definition.version = H5Z_CLASS_T_VERS;
  definition.id = filter;
  definition.decoder_present = 1;
  definition.name = name;
  definition.filter = apply<filter>;
  H5Zregister(&definition);
}

}  // namespace

void register_filters() {
  add<lzf_filter>("lzf");
  add<blosc_filter>("blosc");
  add<zstd_filter>("zstd");
}

}  // namespace cellmill::hdf5
