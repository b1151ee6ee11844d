#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

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

/// Undoes the filters; bit i of `mask` set means that filter i was skipped. Calls no libhdf5.
/// \throws Error(input) naming the filter: it is unknown, or the bytes are corrupt
void undo(const Pipeline& pipeline, std::uint32_t mask, std::span<const std::byte> encoded,
          std::span<std::byte> decoded);

}  // namespace cellmill::hdf5
