#pragma once

#include <span>
#include <string>

#include "cellmill/storage/group.hpp"
#include "storage/hdf5_file.hpp"

namespace cellmill::hdf5 {

/// Writes a table as one compound dataset at `path`, where there is nothing yet.
void write_table(File& file, const std::string& path, std::span<const TableColumn> columns);

}  // namespace cellmill::hdf5
