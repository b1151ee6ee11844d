#include "analysis/run_output.hpp"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "analysis/pass_clock.hpp"
#include "analysis/run_uns.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/memory.hpp"

namespace cellmill {
namespace {

/// Rows in a chunk of an array of `n_rows` rows of `row_bytes`: a power of two, about 4 MiB, no
/// more than there are.
std::int64_t rows_of_chunk(std::int64_t row_bytes, std::int64_t n_rows) {
  constexpr std::int64_t target = std::int64_t{6} << 20;
  const auto fit =
      std::bit_floor(static_cast<std::uint64_t>(std::max<std::int64_t>(target / row_bytes, 1)));
  return std::min(static_cast<std::int64_t>(fit), std::max<std::int64_t>(n_rows, 1));
}

/// Ranges one after the other, of these lengths.
std::vector<Range> consecutive(const std::vector<std::int64_t>& lengths) {
  std::vector<Range> ranges;
  std::int64_t at = 0;
  for (const std::int64_t length : lengths) {
    ranges.push_back({at, at + length});
    at += length;
  }
  return ranges;
}

}  // namespace

RunOutput::RunOutput(const RunOptions& options, int rank)
    : options_(options), rank_(rank), partial_(partial_path(options.output)) {
  if (rank == 0) atomic_.emplace(options.output, options.if_exists);
}

RunOutput::~RunOutput() = default;

std::unique_ptr<Group> RunOutput::open(OpenMode mode) const {
  if (hdf5()) return open_hdf5(partial_, mode);
  return open_zarr(partial_, mode,
                   options_.zarr_format == 2 ? StoreFormat::zarr2 : StoreFormat::zarr3);
}

void RunOutput::create_skeleton(const RunContext& run, const ChosenGenes& chosen,
                                const Components& components) {
  root_ = open(OpenMode::create);
  write_anndata_root(*root_);
  write_kept_genes(*root_, run, chosen);
  write_components(*root_, run, components);
  write_hvg(*root_, run, chosen);
  create_arrays(run, components);
  obs_->create(*root_, root_->format());
}

void RunOutput::create_arrays(const RunContext& run, const Components& components) {
  const std::int64_t n_cells = run.plan.n_cells();
  const std::string small_codec = hdf5() ? "none" : "lz4";
  const auto one_dimensional = [&](DType dtype, std::int64_t length) {
    ArraySpec spec;
    spec.dtype = dtype;
    spec.shape = {length};
    spec.chunk_shape = {rows_of_chunk(8, length)};
    spec.codec = small_codec;
    return spec;
  };
  ArraySpec pca;
  pca.dtype = DType::float32;
  pca.shape = {n_cells, components.k};
  pca.chunk_shape = {rows_of_chunk(components.k * 4, n_cells), components.k};
  pca.codec = "none";  // the low bits of floats are noise: a codec would cost time and save a tenth
  create_element(*root_->group("obsm"), "X_pca", pca);
  if (options_.write_x == WriteX::none) return;
  const std::int64_t nnz = nonzero_rows_.back().end;
  const auto x = create_csr_matrix(
      *root_, "X", n_cells, static_cast<std::int64_t>(components.loadings.size()) / components.k);
  x->create_array("data", one_dimensional(DType::float32, nnz));
  x->create_array("indices", one_dimensional(DType::int32, nnz));
  x->create_array("indptr", one_dimensional(DType::int64, n_cells + 1));
  if (options_.write_x == WriteX::lognorm) create_dict(*root_->group("uns"), "log1p");
}

void RunOutput::create(RunContext& run, const ChosenGenes& chosen, const Components& components,
                       const std::vector<std::int64_t>& nonzeros) {
  PassClock clock;
  k_ = components.k;
  cell_rows_ = run.plan.rows_of_ranks();
  nonzero_rows_ = consecutive(nonzeros);
  indptr_rows_ = cell_rows_;
  // indptr has one more element than there are cells: it comes from the rank with the last segment.
  const auto last = static_cast<std::int64_t>(run.plan.segments.size());
  std::int64_t after = 0;
  for (std::size_t r = 0; r < indptr_rows_.size(); ++r) {
    const bool ends = run.plan.shards[r].end == last && run.plan.shards[r].begin < last;
    indptr_rows_[r].begin += after;
    if (ends) after = 1;
    indptr_rows_[r].end += after;
  }

  with_pulse(run.comm, [&](PulseControl& control) {
    obs_.emplace(run.inputs, run.plan, options_);
    if (rank_ != 0) return;
    const auto timed = clock.time(PassClock::Stage::writing);
    create_skeleton(run, chosen, components);
    if (!hdf5()) return;
    obs_->write(*root_, {0, run.plan.n_cells()}, run.arena, [&] { control.check(); });
    root_->flush();
    root_.reset();
  });
  if (hdf5()) {
    rows_ = open_parallel_rows(partial_);
  } else {
    with_pulse(run.comm, [&](PulseControl& control) {
      if (rank_ != 0) root_ = open(OpenMode::update);
      const auto timed = clock.time(PassClock::Stage::writing);
      const std::int64_t unit = obs_->unit_rows();
      const Range units = even_part((run.plan.n_cells() + unit - 1) / unit, run.comm.size(), rank_);
      const Range mine{units.begin * unit, std::min(units.end * unit, run.plan.n_cells())};
      if (!mine.empty()) obs_->write(*root_, mine, run.arena, [&] { control.check(); });
    });
  }
  run.timings.push_back(clock.timing(rank_, "output (obs, var)", run.arena.threads()));
}

std::unique_ptr<RowOutput> RunOutput::row_output(PulseControl& control, const std::string& name,
                                                 std::size_t row_bytes,
                                                 const std::vector<Range>& ranges) {
  if (rows_)
    return make_placed_output(*rows_, name, row_bytes,
                              ranges[static_cast<std::size_t>(rank_)].begin, control);
  return make_unit_output(root_->open_writer(name), row_bytes, ranges, rank_);
}

ProjectionOutputs RunOutput::projection_outputs(PulseControl& control) {
  ProjectionOutputs outputs;
  outputs.x_pca =
      row_output(control, "obsm/X_pca", static_cast<std::size_t>(k_) * sizeof(float), cell_rows_);
  if (options_.write_x == WriteX::none) return outputs;
  outputs.indptr = row_output(control, "X/indptr", sizeof(std::int64_t), indptr_rows_);
  outputs.indices = row_output(control, "X/indices", sizeof(std::int32_t), nonzero_rows_);
  outputs.values = row_output(control, "X/data", sizeof(float), nonzero_rows_);
  return outputs;
}

void RunOutput::finish(RunContext& run, const RunSummary& summary) {
  if (rows_) {
    rows_->close();
    rows_.reset();
  }
  with_pulse(run.comm, [&](PulseControl&) {
    if (rank_ != 0) {
      root_.reset();
      return;
    }
    if (!root_) root_ = open(OpenMode::update);
    write_provenance(*root_, options_, summary);
    root_->flush();
    root_.reset();
    if (!hdf5()) consolidate_zarr(partial_);
    atomic_->commit();
  });
}

void gather_timings(const RunContext& run, RunSummary& summary) {
  nlohmann::json mine = {{"peak", peak_rss()}, {"timings", nlohmann::json::array()}};
  for (const RunSummary::Timing& t : run.timings) {
    mine["timings"].push_back({t.rank, t.pass, t.seconds, t.reading, t.decoding, t.computing,
                               t.waiting, t.writing, t.bytes, t.cells});
  }
  const std::string text = mine.dump();
  for (const auto& bytes : run.comm.gather(std::as_bytes(std::span(text)), 0)) {
    const auto of_rank =
        nlohmann::json::parse(reinterpret_cast<const char*>(bytes.data()),
                              reinterpret_cast<const char*>(bytes.data()) + bytes.size());
    summary.peak_memory.push_back(of_rank["peak"]);
    for (const auto& t : of_rank["timings"]) {
      summary.timeline.push_back({t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9]});
    }
  }
}

}  // namespace cellmill
