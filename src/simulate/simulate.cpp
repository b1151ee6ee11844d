#include "cellmill/simulate/simulate.hpp"

#include <fmt/format.h>

#include <cmath>
#include <mutex>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "simulate/plate.hpp"
#include "simulate/write_plate.hpp"

namespace cellmill {
namespace {

namespace fs = std::filesystem;

void check(const SimulateOptions& options) {
  const auto at_least_one = [](const char* name, std::int64_t value) {
    if (value < 1) {
      throw input_error(fmt::format("--{} is {}, at least 1 is expected", name, value));
    }
  };
  at_least_one("plates", options.plates);
  at_least_one("cells", options.cells);
  at_least_one("genes", options.genes);
  at_least_one("cell-lines", options.cell_lines);
  if (!(options.nnz > 0) || !std::isfinite(options.nnz)) {
    throw input_error(fmt::format("--nnz is {}, a positive number is expected", options.nnz));
  }
  if (options.format != "h5ad" && options.format != "zarr") {
    throw usage_error(
        fmt::format("--format is '{}', 'h5ad' or 'zarr' is expected", options.format));
  }
}

}  // namespace

std::vector<fs::path> simulate_plates(
    const fs::path& folder, const SimulateOptions& options, Arena& arena,
    const std::function<void(std::int64_t cells_done)>& progress) {
  check(options);
  const simulation::Population population = simulation::make_population(options);
  const double depth = simulation::calibrated_depth(population, options);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw io_error(fmt::format("{}: can't make the folder: {}", folder.string(), error.message()));
  }

  std::vector<fs::path> paths;
  for (std::int32_t index = 0; index < options.plates; ++index) {
    paths.push_back(folder / fmt::format("plate{}.{}", index + 1, options.format));
  }
  std::mutex progress_mutex;
  std::int64_t cells_done = 0;
  const auto written = [&](std::int64_t cells) {
    const std::lock_guard lock(progress_mutex);
    cells_done += cells;
    if (progress) progress(cells_done);
  };
  for (std::int32_t index = 0; index < options.plates; ++index) {
    const simulation::Plate plate(population, options, index, depth);
    AtomicOutput output(paths[static_cast<std::size_t>(index)], options.if_exists);
    const bool zarr = options.format == "zarr";
    {
      const auto root = zarr ? open_zarr(output.partial(), OpenMode::create)
                             : open_hdf5(output.partial(), OpenMode::create);
      simulation::write_plate(*root, plate, population, options, arena, written);
    }
    if (zarr) consolidate_zarr(output.partial());
    output.commit();
  }
  return paths;
}

}  // namespace cellmill
