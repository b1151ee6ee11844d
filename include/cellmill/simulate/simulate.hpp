#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// Plates like Tahoe-100M, made up: the same data for the same options, whoever writes them.
struct SimulateOptions {
  std::int32_t plates = 4;
  std::int64_t cells = 20000;  ///< a plate
  std::int32_t genes = 62710;
  double nnz = 1439;  ///< mean non-zeros a cell, over the cells that pass the filter
  std::int32_t cell_lines = 50;
  std::uint64_t seed = 7;
  std::string format = "h5ad";  ///< or "zarr"
};

/// Writes `plate1.h5ad` … into `folder` (made if absent); returns the paths. Checks core/stop.hpp
/// between blocks of cells; what was not finished is removed.
std::vector<std::filesystem::path> simulate_plates(
    const std::filesystem::path& folder, const SimulateOptions& options, Arena& arena,
    const std::function<void(std::int64_t cells_done)>& progress = {});

}  // namespace cellmill
