#include <algorithm>
#include <span>

#include "analysis/run_inputs.hpp"
#include "analysis/run_output.hpp"
#include "cellmill/analysis/run.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/stream/packed_rows.hpp"

namespace cellmill {
namespace {

// Rates of one core of a 2024 server, from docs/performance.md; for an order of magnitude.
constexpr double inflated_bytes_per_second = 700e6;
constexpr double cells_per_second_gram = 200e3;
constexpr double cells_per_second_projection = 700e3;
constexpr double written_bytes_per_second = 1e9;
constexpr double eigen_seconds = 1.0;
constexpr std::int64_t typical_kept_genes = 2300;

/// Bytes of X on disk: the chunks of a sample of segments, scaled up.
std::int64_t compressed_bytes(const MatrixSource& x) {
  const Range sample{0, std::min<std::int64_t>(x.n_rows(), segment_rows)};
  if (sample.empty() || x.nnz() == 0) return 0;
  const std::vector<std::int64_t> indptr = x.indptr(sample);
  const std::int64_t nonzeros = indptr.back() - indptr.front();
  if (nonzeros == 0) return 0;
  const double a_nonzero =
      static_cast<double>(x.cost(sample, nonzeros).encoded) / static_cast<double>(nonzeros);
  return static_cast<std::int64_t>(a_nonzero * static_cast<double>(x.nnz()));
}

}  // namespace

RunEstimate estimate_run(const RunOptions& options, Communicator& comm, const Arena& arena) {
  RunEstimate estimate;
  with_pulse(comm, [&](PulseControl&) {
    if (comm.rank() != 0) return;
    const RunInputs inputs = open_inputs(options, comm.rank());
    estimate.n_genes = inputs.n_genes();
    for (const Plate& plate : inputs.plates) {
      const MatrixSource& x = plate.data->x();
      RunSummary::Plate of_plate;
      of_plate.name = plate.name;
      of_plate.cells_read = plate.data->n_obs();
      estimate.plates.push_back(of_plate);
      estimate.n_cells += plate.data->n_obs();
      estimate.nnz += x.nnz();
      estimate.bytes_to_read += compressed_bytes(x);
    }
    const auto cells = static_cast<double>(estimate.n_cells);
    const auto nonzeros = static_cast<double>(estimate.nnz);
    const std::int64_t k = options.n_comps.value_or(300);
    const std::int64_t per_cell = estimate.nnz / std::max<std::int64_t>(estimate.n_cells, 1);
    const std::int64_t segment = segment_rows * per_cell * 16;  // encoded, decoded, packed
    estimate.memory =
        current_rss() + segment * (std::int64_t{arena.threads()} + 2) +
        estimate.n_cells / comm.size() * 20 + typical_kept_genes * typical_kept_genes * 12 +
        std::int64_t{64} * inputs.n_genes() * inputs.n_batches() + output_buffers(options);
    estimate.scratch = options.scratch == "none"
                           ? 0
                           : static_cast<std::int64_t>(nonzeros * packed_bytes_per_nonzero);
    estimate.output = estimate.n_cells * (k * 4 + 64);
    const double cores = static_cast<double>(arena.threads()) * comm.size();
    estimate.seconds = (nonzeros * 8 / inflated_bytes_per_second + cells / cells_per_second_gram +
                        cells / cells_per_second_projection) /
                           cores +
                       static_cast<double>(estimate.output) / written_bytes_per_second +
                       eigen_seconds;
  });
  return estimate;
}

}  // namespace cellmill
