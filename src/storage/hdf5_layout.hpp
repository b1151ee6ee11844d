#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "cellmill/storage/array.hpp"
#include "storage/hdf5_file.hpp"
#include "storage/hdf5_filters.hpp"
#include "storage/hdf5_types.hpp"

namespace cellmill::hdf5 {

/// How the bytes of a dataset come from the file.
enum class Access {
  chunks,      ///< each chunk is located, read by us and decoded by us
  contiguous,  ///< one run of bytes, cut into chunks of our own
  library,     ///< compact, external or virtual data, types that need converting, files open for
               ///< writing: libhdf5 reads them, under its lock
};

/// All that is read when a dataset is opened.
struct Layout {
  ArrayInfo info;
  ElementType type;
  Access access = Access::library;
  Pipeline pipeline;
  std::int64_t offset = -1;     ///< contiguous: in the file; −1 if nothing was written yet
  std::vector<std::byte> fill;  ///< one native element; empty for strings of variable length
};

/// The shape and codecs of a table (a dataset of a compound type) and the rows to read together,
/// whole chunks that make about a piece. Call under the Lock. \throws Error(input)
[[nodiscard]] ArrayInfo read_table_info(hid_t dataset);

/// Call under the Lock. \throws Error(input), with the location, for types that are not supported
/// and data past the end of the file
[[nodiscard]] Layout read_layout(const File& file, hid_t dataset, const std::string& location);

}  // namespace cellmill::hdf5
