#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {

/// Plates like Tahoe-100M, made up: the same data for the same options, whoever writes them and
/// with however many threads.
struct SimulateOptions {
  std::int32_t plates = 4;
  std::int64_t cells = 20000;  ///< a plate
  std::int32_t genes = 62710;
  double nnz = 1439;  ///< mean non-zeros a cell, over the cells that pass the filter
  std::int32_t cell_lines = 50;
  std::uint64_t seed = 7;
  std::string format = "h5ad";  ///< or "zarr"
  IfExists if_exists = IfExists::refuse;
};

/// Writes `plate1.h5ad` … into `folder` (made if absent); returns the paths. Checks core/stop.hpp
/// between blocks of cells; what was not finished is removed. Memory: 100 bytes a cell of one
/// plate, and a few MB a thread. \param progress is told of cells written so far, over all plates;
/// by one thread at a time \throws Error(input) for options out of range, or non-zeros that so few
/// genes can't give
std::vector<std::filesystem::path> simulate_plates(
    const std::filesystem::path& folder, const SimulateOptions& options, Arena& arena,
    const std::function<void(std::int64_t cells_done)>& progress = {});

}  // namespace cellmill
