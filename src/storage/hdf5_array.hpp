#pragma once

#include <memory>
#include <string>

#include "cellmill/storage/array.hpp"
#include "storage/hdf5_file.hpp"

namespace cellmill::hdf5 {

/// Opens the dataset `path` of `file`. \throws Error(input) if its type or its place in the file
/// make no sense
[[nodiscard]] std::unique_ptr<Array> open_array(std::shared_ptr<File> file,
                                                const std::string& path);

}  // namespace cellmill::hdf5
