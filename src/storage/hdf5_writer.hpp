#pragma once

#include <memory>
#include <string>

#include "cellmill/storage/group.hpp"
#include "storage/hdf5_file.hpp"

namespace cellmill::hdf5 {

/// Creates a dataset at `path` in a file open for writing. Codec "none" is contiguous, allocated at
/// once and not filled; "gzip" (and "zstd", which HDF5 has not) chunked, one axis of any length, as
/// anndata makes sparse arrays. Strings are always contiguous: their characters lie elsewhere,
/// where no filter reaches. \throws Error(input) for other codecs
[[nodiscard]] std::unique_ptr<ArrayWriter> create_array(std::shared_ptr<File> file,
                                                        const std::string& path,
                                                        const ArraySpec& spec);

/// A writer of a dataset that exists. \throws Error(input) if it has filters that we can't apply
[[nodiscard]] std::unique_ptr<ArrayWriter> open_writer(std::shared_ptr<File> file,
                                                       const std::string& path);

}  // namespace cellmill::hdf5
