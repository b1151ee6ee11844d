#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cellmill/bench/file_rates.hpp"
#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// What this machine can do at most, measured now, with all threads of the arena. What the job is
/// compared with.
struct MachineLimits {
  int threads = 0;
  double inflate_bytes = 0;      ///< gzip counts, decoded bytes a second
  double blosc_bytes = 0;        ///< blosc-lz4 counts, decoded bytes a second
  double packed_rows_cells = 0;  ///< packed rows of 1,750 counts decoded, cells a second
  double copy_bytes = 0;         ///< memcpy, bytes a second
  FileRates file;                ///< of the folder that was given
  double moments_cells = 0;      ///< raw counts (1,750 non-zeros a cell), cells a second
  double gram_cells = 0;         ///< 2,304 genes, 161 non-zeros a cell
  double projection_cells = 0;   ///< the same cells to 300 components
  double eigen_seconds = 0;      ///< 300 eigenpairs of 2,304
  double mpi_start_seconds = 0;  ///< what MPI_Init took in this process; 0 without MPI
};

/// \param folder where files would be written
/// \param memory bytes for buffers; 256 MiB are enough
[[nodiscard]] MachineLimits measure_limits(Arena& arena, const std::filesystem::path& folder,
                                           std::int64_t memory, double mpi_start_seconds);

[[nodiscard]] std::string limits_text(const MachineLimits& limits);
[[nodiscard]] nlohmann::json limits_json(const MachineLimits& limits);

}  // namespace cellmill
