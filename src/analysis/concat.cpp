#include "cellmill/analysis/concat.hpp"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

#include "analysis/concat_inputs.hpp"
#include "analysis/concat_matrix.hpp"
#include "analysis/joint_output.hpp"
#include "cellmill/anndata/write.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/storage/scratch_file.hpp"

namespace cellmill {
namespace {

std::int64_t total(const std::vector<std::int64_t>& numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0});
}

/// What was noticed, once over all ranks.
void tell(const ConcatInputs& inputs, const Communicator& comm) {
  if (comm.rank() != 0) return;
  for (const std::string& warning : inputs.warnings) log_warning(warning);
  for (const std::string& element : inputs.left_out) log_warning("left out: " + element);
}

/// The rows of all sources, none dropped: how many are in the segments before each.
std::vector<std::int64_t> rows_before(const SegmentPlan& plan) {
  std::vector<std::int64_t> before{0};
  for (const Segment& segment : plan.segments)
    before.push_back(before.back() + segment.rows.size());
  return before;
}

ConcatContext make_context(const ConcatInputs& inputs, const SegmentPlan& plan,
                           const std::vector<std::int64_t>& before, MemoryBudget& budget,
                           Communicator& comm, Arena& arena) {
  ConcatContext context{comm, arena, budget, plan, {0}, {}};
  for (const std::int64_t rows : inputs.rows()) {
    context.first_row.push_back(context.first_row.back() + rows);
  }
  for (const Range& shard : plan.shards) {
    context.rows_of_ranks.push_back({before[static_cast<std::size_t>(shard.begin)],
                                     before[static_cast<std::size_t>(shard.end)]});
  }
  return context;
}

/// obs and the tables of obsm.
std::vector<FrameOutput> frame_outputs(const ConcatInputs& inputs, const ConcatOptions& options,
                                       const SegmentPlan& plan,
                                       const std::vector<std::int64_t>& before) {
  FrameParts obs;
  for (std::size_t p = 0; p < inputs.plates.size(); ++p) {
    obs.rows.push_back(&inputs.plates[p]->obs());
    obs.suffixes.push_back(options.index_unique.empty() ? ""
                                                        : options.index_unique + inputs.keys[p]);
  }
  obs.columns = obs.rows;
  obs.which = options.join == GeneJoin::inner ? FrameParts::Columns::of_all_sources
                                              : FrameParts::Columns::of_any_source;
  obs.index_name = common_index_name(obs.rows);
  // The label must not take the index's place.
  if (obs.index_name == options.label) obs.index_name = "_index";

  const FrameRows rows{plan.segments, before, {}};
  std::vector<FrameOutput> outputs;
  for (const JoinedTable& table : inputs.tables) {
    FrameParts parts = obs;
    parts.name = table.name;
    parts.columns.clear();
    for (const auto& frame : table.frames) parts.columns.push_back(frame.get());
    parts.index_name = "_index";
    outputs.emplace_back(std::move(parts), rows);
  }
  obs.label = options.label;
  obs.keys = inputs.keys;
  outputs.emplace_back(std::move(obs), rows);
  return outputs;
}

void write_genes(Group& parent, const GeneAxis& axis) {
  const auto frame = create_dataframe(parent, "var", {}, axis.index_name);
  write_index(*frame, axis.names, axis.index_name);
}

ConcatSummary summarise(const ConcatInputs& inputs, const ConcatOptions& options,
                        const ConcatContext& context,
                        const std::vector<std::vector<std::int64_t>>& stored) {
  ConcatSummary summary;
  const std::vector<std::int64_t> rows = inputs.rows();
  for (std::size_t p = 0; p < rows.size(); ++p) {
    summary.plates.push_back({inputs.keys[p], rows[p]});
  }
  summary.n_cells = context.n_rows();
  summary.n_genes = static_cast<std::int32_t>(inputs.var.names.size());
  for (std::size_t m = 0; m < inputs.matrices.size(); ++m) {
    const JoinedMatrix& matrix = inputs.matrices[m];
    summary.matrices.push_back(
        {matrix.name, matrix.sparse ? "csr_matrix" : "array", dtype_name(matrix.dtype),
         matrix.columns->count,
         matrix.sparse ? total(stored[m]) : context.n_rows() * matrix.columns->count});
  }
  summary.left_out = inputs.left_out;
  summary.output = options.output;
  return summary;
}

void gather_peaks(Communicator& comm, ConcatSummary& summary) {
  const std::int64_t mine = peak_rss();
  summary.peak_memory = all_gather(comm, std::span(&mine, 1));
}

}  // namespace

ConcatSummary concat(const ConcatOptions& options, Communicator& comm, Arena& arena) {
  const auto start = std::chrono::steady_clock::now();
  check_output(options.output, options.zarr_format);
  std::optional<MemoryBudget> budget;
  std::optional<JointOutput> output;
  ConcatInputs inputs;
  with_pulse(comm, [&](PulseControl&) {
    budget.emplace(buffer_limit(options.memory, comm.local_size()));
    output.emplace(options.output, options.zarr_format, options.if_exists, comm);
    inputs = open_concat_inputs(options);
    tell(inputs, comm);
  });

  std::vector<const MatrixSource*> xs;
  for (const auto& plate : inputs.plates) xs.push_back(plate->has_x() ? &plate->x() : nullptr);
  const SegmentPlan plan = plan_segments(inputs.rows(), xs, comm, arena);
  const std::vector<std::int64_t> before = rows_before(plan);
  ConcatContext context = make_context(inputs, plan, before, *budget, comm, arena);

  const std::filesystem::path folder = options.scratch == "auto"
                                           ? find_scratch_folder(options.output.parent_path(), 0)
                                           : std::filesystem::path(options.scratch);
  std::vector<std::vector<std::int64_t>> stored;
  for (const JoinedMatrix& matrix : inputs.matrices) {
    stored.push_back(matrix.sparse ? count_stored(context, matrix, folder)
                                   : std::vector<std::int64_t>{});
  }
  std::vector<FrameOutput> frames;
  with_pulse(comm, [&](PulseControl&) { frames = frame_outputs(inputs, options, plan, before); });
  output->create(frames, arena, [&](Group& root) {
    write_anndata_root(root);
    write_genes(root, inputs.var);
    if (inputs.raw_var) write_genes(*create_raw(root), *inputs.raw_var);
    for (std::size_t m = 0; m < inputs.matrices.size(); ++m) {
      create_matrix(root, context, inputs.matrices[m], total(stored[m]));
    }
  });
  for (std::size_t m = 0; m < inputs.matrices.size(); ++m) {
    copy_matrix(context, inputs.matrices[m], stored[m], *output);
    trim_heap();
  }
  ConcatSummary summary = summarise(inputs, options, context, stored);
  output->finish();
  gather_peaks(comm, summary);
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace cellmill
