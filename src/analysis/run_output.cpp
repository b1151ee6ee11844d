#include "analysis/run_output.hpp"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "analysis/pass_clock.hpp"
#include "analysis/run_uns.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/storage/output.hpp"

namespace cellmill {
namespace {

constexpr const char* run_attribute = "cellmill-run";  ///< of the root: which run it is written by

constexpr std::int64_t most_chunk_bytes = std::int64_t{6} << 20;

/// Rows in a chunk of an array of `n_rows` rows of `row_bytes`: a power of two, about 4 MiB, no
/// more than there are.
std::int64_t rows_of_chunk(std::int64_t row_bytes, std::int64_t n_rows) {
  const auto fit = std::bit_floor(
      static_cast<std::uint64_t>(std::max<std::int64_t>(most_chunk_bytes / row_bytes, 1)));
  return std::min(static_cast<std::int64_t>(fit), std::max<std::int64_t>(n_rows, 1));
}

/// The joined obs of the cells that a run keeps.
FrameOutput obs_output(const RunContext& run) {
  const RunInputs& inputs = run.inputs;
  FrameParts parts;
  const bool joined = inputs.plates.size() > 1 && !run.options.index_unique.empty();
  for (const Plate& plate : inputs.plates) {
    parts.rows.push_back(&plate.data->obs());
    parts.suffixes.push_back(joined ? run.options.index_unique + plate.name : "");
    parts.keys.push_back(plate.name);
  }
  parts.columns = parts.rows;
  parts.label = run.options.label;
  FrameRows rows{run.plan.segments, run.plan.kept_before, {}};
  rows.keep = [&run](std::int32_t source, Range of_source) {
    const Plate& plate = run.inputs.plates[static_cast<std::size_t>(source)];
    return kept_rows(run.inputs, plate, of_source, run.options);
  };
  return {std::move(parts), std::move(rows)};
}

}  // namespace

std::int64_t output_buffers(const RunOptions& options) {
  // A chunk of each array is filled, and encoded when it is full.
  const std::int64_t arrays = options.write_x == WriteX::none ? 1 : 4;
  return arrays * 2 * most_chunk_bytes;
}

RunOutput::RunOutput(const RunOptions& options, Communicator& comm, Leftover leftover)
    : options_(options),
      leftover_(leftover),
      output_(options.output, options.zarr_format, options.if_exists, comm, leftover) {}

void RunOutput::create_arrays(Group& root, const RunContext& run,
                              const Components& components) const {
  const std::int64_t n_cells = run.plan.n_cells();
  const std::string small_codec = output_.hdf5() ? "none" : "lz4";
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
  pca.chunk_shape = {rows_of_chunk(std::int64_t{4} * components.k, n_cells), components.k};
  pca.codec = "none";  // the low bits of floats are noise: a codec would cost time and save a tenth
  create_element(*root.group("obsm"), "X_pca", pca);
  if (options_.write_x == WriteX::none) return;
  const std::int64_t nnz = nonzero_rows_.back().end;
  const auto x = create_csr_matrix(
      root, "X", n_cells, static_cast<std::int64_t>(components.loadings.size()) / components.k);
  x->create_array("data", one_dimensional(DType::float32, nnz));
  x->create_array("indices", one_dimensional(DType::int32, nnz));
  x->create_array("indptr", one_dimensional(DType::int64, n_cells + 1));
  if (options_.write_x == WriteX::lognorm) create_dict(*root.group("uns"), "log1p");
}

void RunOutput::create(RunContext& run, const ChosenGenes& chosen, const Components& components,
                       const std::vector<std::int64_t>& nonzeros_before) {
  PassClock clock(run.comm);
  k_ = components.k;
  cell_rows_ = run.plan.rows_of_ranks();
  nonzero_rows_.clear();
  for (const Range& shard : run.plan.shards) {
    nonzero_rows_.push_back({nonzeros_before[static_cast<std::size_t>(shard.begin)],
                             nonzeros_before[static_cast<std::size_t>(shard.end)]});
  }
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

  if (leftover_ == Leftover::keep) return output_.reopen();

  std::optional<FrameOutput> obs;
  with_pulse(run.comm, [&](PulseControl&) { obs.emplace(obs_output(run)); });
  {
    const auto timed = clock.time(PassClock::Stage::writing);
    output_.create({&*obs, 1}, run.arena, [&](Group& root) {
      write_anndata_root(root);
      write_kept_genes(root, run, chosen);
      write_components(root, run, components);
      write_hvg(root, run, chosen);
      create_arrays(root, run, components);
      if (run.checkpoint != nullptr) {
        root.set_attributes("", {{run_attribute, run.checkpoint->run()}});
      }
    });
    if (run.checkpoint != nullptr) {  // so that a checkpoint of the projection finds it whole
      with_pulse(run.comm, [&](PulseControl&) { sync_to_disk(partial()); });
    }
  }
  run.timings.push_back(clock.timing("output (obs, var)", run.arena.threads()));
}

ProjectionOutputs RunOutput::projection_outputs(PulseControl& control, const RowsOfArrays& done) {
  const auto output = [&](const char* name, std::size_t row_bytes,
                          const std::vector<Range>& ranges) {
    const auto rows = done.find(name);
    return output_.rows(control, name, row_bytes, ranges, {},
                        rows == done.end() ? RangeSet() : rows->second);
  };
  ProjectionOutputs outputs;
  outputs[x_pca_name] =
      output(x_pca_name, static_cast<std::size_t>(k_) * sizeof(float), cell_rows_);
  if (options_.write_x == WriteX::none) return outputs;
  outputs[indptr_name] = output(indptr_name, sizeof(std::int64_t), indptr_rows_);
  outputs[indices_name] = output(indices_name, sizeof(std::int32_t), nonzero_rows_);
  outputs[values_name] = output(values_name, sizeof(float), nonzero_rows_);
  return outputs;
}

void RunOutput::finish(const RunContext& run, const std::string& fingerprint,
                       const RunSummary& summary) {
  output_.finish([&](Group& root) {
    std::error_code ignored;
    if (output_.hdf5() && run.checkpoint != nullptr) {
      // A file whose metadata are half written can't be gone on with: rather all rows again.
      sync_to_disk(partial());
      run.checkpoint->forget(projection_pass);
    } else {  // an earlier attempt may have come so far
      std::filesystem::remove_all(partial() / "uns" / "cellmill", ignored);
    }
    write_provenance(root, options_, fingerprint, summary);
  });
}

bool is_partial_of(const std::filesystem::path& output, const std::string& run) {
  std::error_code ignored;
  if (!std::filesystem::exists(partial_path(output), ignored)) return false;
  try {
    return open_store(partial_path(output))->attributes().value(run_attribute, "") == run;
  } catch (const Error&) {
    return false;  // another run's, or in pieces
  }
}

void gather_timings(const RunContext& run, RunSummary& summary) {
  nlohmann::json mine = {{"peak", peak_rss()},
                         {"timings", nlohmann::json::array()},
                         {"exchanges", nlohmann::json::array()}};
  for (const RunSummary::Timing& t : run.timings) {
    mine["timings"].push_back({t.rank, t.pass, t.seconds, t.reading, t.decoding, t.computing,
                               t.waiting, t.writing, t.communicating, t.bytes, t.cells});
  }
  for (const RunSummary::Exchange& e : run.exchanges) {
    mine["exchanges"].push_back({e.rank, e.what, e.bytes, e.waiting, e.moving});
  }
  const std::string text = mine.dump();
  for (const auto& bytes : run.comm.gather(std::as_bytes(std::span(text)), 0)) {
    const auto of_rank =
        nlohmann::json::parse(reinterpret_cast<const char*>(bytes.data()),
                              reinterpret_cast<const char*>(bytes.data()) + bytes.size());
    summary.peak_memory.push_back(of_rank["peak"]);
    for (const auto& t : of_rank["timings"]) {
      summary.timeline.push_back(
          {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10]});
    }
    for (const auto& e : of_rank["exchanges"]) {
      summary.exchanges.push_back({e[0], e[1], e[2], e[3], e[4]});
    }
  }
}

}  // namespace cellmill
