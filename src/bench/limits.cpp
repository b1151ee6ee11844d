#include "cellmill/bench/limits.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cellmill/compute/kernel_rates.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/codec_rates.hpp"

namespace cellmill {

MachineLimits measure_limits(Arena& arena, const std::filesystem::path& folder, std::int64_t memory,
                             double mpi_start_seconds) {
  const auto backend = make_cpu_backend();
  const KernelRateOptions kernels;
  MachineLimits limits;
  limits.threads = arena.threads();
  limits.inflate_bytes = inflate_rate(arena);
  limits.blosc_bytes = blosc_rate(arena);
  limits.packed_rows_cells = packed_rows_rate(arena);
  limits.copy_bytes = copy_rate(arena, memory);
  limits.file = file_rates(arena, folder, memory);
  limits.moments_cells = moments_rate(arena, kernels);
  limits.gram_cells = gram_rate(arena, *backend, kernels);
  limits.projection_cells = projection_rate(arena, *backend, kernels);
  limits.eigen_seconds = eigen_seconds(kernels.n_genes, kernels.n_components);
  limits.mpi_start_seconds = mpi_start_seconds;
  return limits;
}

std::string limits_text(const MachineLimits& limits) {
  const auto cells = [](double rate) {
    return grouped(static_cast<std::int64_t>(rate)) + " cells/s";
  };
  const auto bytes = [](double rate) {
    return human_bytes(static_cast<std::int64_t>(rate)) + "/s";
  };
  std::string text = fmt::format("this machine with {} threads\n", limits.threads);
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<34} {:>20}\n", name, value);
  };
  line("inflate (gzip counts)", bytes(limits.inflate_bytes));
  line("blosc-lz4 (counts)", bytes(limits.blosc_bytes));
  line("packed rows (1,750 non-zeros)", cells(limits.packed_rows_cells));
  line("copy (memory)", bytes(limits.copy_bytes));
  line("copy into a new file", bytes(limits.file.write_bytes));
  line("copy out of it", bytes(limits.file.read_bytes));
  line("per-gene sums (1,750 non-zeros)", cells(limits.moments_cells));
  line("Gram matrix (2,304 genes)", cells(limits.gram_cells));
  line("projection (300 components)", cells(limits.projection_cells));
  line("eigen-solve (2,304, 300)", human_seconds(limits.eigen_seconds));
  line("MPI start", human_seconds(limits.mpi_start_seconds));
  return text;
}

nlohmann::json limits_json(const MachineLimits& limits) {
  return {{"threads", limits.threads},
          {"inflate_bytes_per_second", limits.inflate_bytes},
          {"blosc_bytes_per_second", limits.blosc_bytes},
          {"packed_rows_cells_per_second", limits.packed_rows_cells},
          {"copy_bytes_per_second", limits.copy_bytes},
          {"file_write_bytes_per_second", limits.file.write_bytes},
          {"file_read_bytes_per_second", limits.file.read_bytes},
          {"moments_cells_per_second", limits.moments_cells},
          {"gram_cells_per_second", limits.gram_cells},
          {"projection_cells_per_second", limits.projection_cells},
          {"eigen_seconds", limits.eigen_seconds},
          {"mpi_start_seconds", limits.mpi_start_seconds}};
}

}  // namespace cellmill
