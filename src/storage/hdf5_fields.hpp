#pragma once

#include <memory>
#include <string>

#include "cellmill/storage/array.hpp"
#include "storage/hdf5_file.hpp"

namespace cellmill::hdf5 {

/// Whether a dataset holds records of a compound type. Call under the Lock.
[[nodiscard]] bool is_structured(hid_t dataset);
/// The description of such a dataset. \throws Error(input)
[[nodiscard]] ArrayInfo structured_info(hid_t dataset, const std::string& location);

/// One member of the compound type of the dataset `path`, as an array of its own that libhdf5
/// reads. \throws Error as Group::field
[[nodiscard]] std::unique_ptr<Array> open_field(std::shared_ptr<File> file, const std::string& path,
                                                const std::string& field);

}  // namespace cellmill::hdf5
