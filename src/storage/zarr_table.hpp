#pragma once

#include <filesystem>
#include <span>

#include "cellmill/storage/group.hpp"

namespace cellmill {

/// Writes a table as one array of records in one chunk: its document and the chunk's file.
void write_zarr_table(const std::filesystem::path& folder, StoreFormat format,
                      std::span<const TableColumn> columns);

}  // namespace cellmill
