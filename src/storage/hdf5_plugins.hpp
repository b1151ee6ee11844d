#pragma once

namespace cellmill::hdf5 {

/// Teaches libhdf5 itself the filters lzf, blosc and zstd, for what only it can read: strings of
/// variable length, and data that it has to convert. Reading only. Call under the Lock; once is
/// enough, more does no harm.
void register_filters();

}  // namespace cellmill::hdf5
