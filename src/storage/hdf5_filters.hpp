#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

// Filters that are not HDF5's own are registered with the HDF Group by their authors.
inline constexpr int lzf_filter = 32000;
inline constexpr int blosc_filter = 32001;
inline constexpr int lz4_filter = 32004;
inline constexpr int zstd_filter = 32015;

/// One step that a chunk went through on its way to the file.
struct Filter {
  int id = 0;
  std::string name;                  ///< `gzip`, `shuffle`, `lzf`, …
  std::vector<unsigned> parameters;  ///< as HDF5's cd_values
};

using Pipeline = std::vector<Filter>;

/// The filters of a chunked dataset, in the order in which they were applied. Call under the Lock.
[[nodiscard]] Pipeline read_pipeline(hid_t creation_properties);

/// `shuffle+gzip(4)`, or `none`.
[[nodiscard]] std::string describe(const Pipeline& pipeline);

/// That a filter is one which we can't undo.
[[nodiscard]] Error unsupported(const Filter& filter);

/// Undoes the filters; bit i of `mask` set means that filter i was skipped. Calls no libhdf5.
/// \throws Error(input) naming the filter: it is unknown, or the bytes are corrupt
void undo(const Pipeline& pipeline, std::uint32_t mask, std::span<const std::byte> encoded,
          std::span<std::byte> decoded);

/// Bytes [begin, begin + part.size()) of the `whole` that a chunk decodes to, if that is quicker
/// than undoing the filters of all of them; false, and nothing done, if not. A checksum of gzip is
/// not checked, so a part that reaches to the last of the `filled` bytes, behind which the array
/// ends, is not quicker: who reads all checks all. \throws Error(input) if the bytes are corrupt
[[nodiscard]] bool undo_part(const Pipeline& pipeline, std::uint32_t mask,
                             std::span<const std::byte> encoded, std::size_t whole,
                             std::size_t filled, std::size_t begin, std::span<std::byte> part);

}  // namespace cellmill::hdf5
