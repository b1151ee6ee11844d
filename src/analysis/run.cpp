#include "cellmill/analysis/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <memory>
#include <numeric>
#include <optional>

#include "analysis/choose_genes.hpp"
#include "analysis/exchange.hpp"
#include "analysis/joint_output.hpp"
#include "analysis/run_fingerprint.hpp"
#include "analysis/run_inputs.hpp"
#include "analysis/run_output.hpp"
#include "analysis/run_passes.hpp"
#include "cellmill/anndata/fingerprint.hpp"
#include "cellmill/compute/moments.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/stream/packed_rows.hpp"

namespace cellmill {
namespace {

void check_options(const RunOptions& options) {
  if (options.n_top_genes < 1) throw usage_error("--n-top-genes must be at least 1");
  if (options.n_comps && *options.n_comps < 1) throw usage_error("--n-comps must be at least 1");
  if (options.min_plates && *options.min_plates < 1)
    throw usage_error("--min-plates must be at least 1");
  if (options.target_sum && !(*options.target_sum > 0))
    throw usage_error("--target-sum must be above 0");
  if (options.label.empty()) throw usage_error("--label must not be empty");
  if (options.resume == Resume::yes && options.checkpoint.empty())
    throw usage_error("--resume needs --checkpoint DIR, the folder to go on from");
  if (!(options.io_timeout > 0)) throw usage_error("--io-timeout must be above 0");
  if (!(options.checkpoint_seconds > 0)) throw usage_error("--checkpoint-every must be above 0");
  check_output(options.output, options.zarr_format);
}

/// Every plate must contribute cells: a plate that the filter empties is a mistake in the filter or
/// the plate.
void check_cells(const RunOptions& options, const RunInputs& inputs, const CellPlan& plan) {
  for (std::size_t p = 0; p < inputs.plates.size(); ++p) {
    const std::int64_t kept = plan.kept_of_plate(static_cast<std::int32_t>(p));
    if (kept > 0) continue;
    const std::int64_t read = inputs.plates[p].data->n_obs();
    throw input_error(options.filter && read > 0
                          ? fmt::format("{}: no cell passes the filter {} (of {} cells)",
                                        inputs.plates[p].data->name(), *options.filter,
                                        grouped(read))
                          : fmt::format("{}: there are no cells", inputs.plates[p].data->name()));
  }
}

void check_components(const RunOptions& options, std::int64_t n_cells, std::size_t n_genes) {
  const std::int64_t limit = std::min(n_cells, static_cast<std::int64_t>(n_genes)) - 1;
  if (limit < 1) {
    throw input_error(fmt::format(
        "PCA needs at least two cells and two genes; there are {} cells and {} kept genes",
        grouped(n_cells), n_genes));
  }
  if (options.n_comps && *options.n_comps > limit) {
    throw input_error(fmt::format("--n-comps {}: at most {} with {} cells and {} kept genes",
                                  *options.n_comps, limit, grouped(n_cells), n_genes));
  }
}

/// The scratch file, or null: `none`, or `auto` where there is no local disk with room.
std::shared_ptr<ScratchFile> open_scratch(const RunOptions& options, const CellPlan& plan) {
  if (options.scratch == "none") return nullptr;
  if (options.scratch != "auto") return std::make_shared<ScratchFile>(options.scratch);
  double nonzeros = 0;
  for (std::int64_t at = plan.mine.begin; at < plan.mine.end; ++at) {
    nonzeros += static_cast<double>(plan.segments[static_cast<std::size_t>(at)].nnz);
  }
  const auto wanted = static_cast<std::int64_t>(nonzeros * packed_bytes_per_nonzero);
  const std::filesystem::path folder = find_scratch_folder(options.output.parent_path(), wanted);
  if (folder.empty()) {
    log_warning(fmt::format(
        "no local disk with {} free was found for scratch; the plates are read again for each pass "
        "(--scratch DIR names a folder)",
        human_bytes(wanted)));
    return nullptr;
  }
  return std::make_shared<ScratchFile>(folder);
}

std::vector<RunSummary::Plate> funnel_of(const RunContext& run, const Counts& counts,
                                         const ChosenGenes& chosen) {
  std::vector<RunSummary::Plate> funnel;
  for (std::int32_t b = 0; b < run.inputs.n_batches(); ++b) {
    const auto batch = static_cast<std::size_t>(b);
    RunSummary::Plate plate;
    plate.name = run.inputs.batches[batch];
    plate.cells_read = run.plan.read_of_batch[batch];
    plate.cells_kept = counts.batches[batch].n_cells;
    plate.genes_with_counts = static_cast<std::int64_t>(
        std::count_if(counts.batches[batch].count.begin(), counts.batches[batch].count.end(),
                      [](std::int64_t cells) { return cells > 0; }));
    const auto& chosen_here = chosen.of_batch[batch].highly_variable;
    plate.genes_chosen = std::count(chosen_here.begin(), chosen_here.end(), true);
    funnel.push_back(plate);
  }
  return funnel;
}

/// **Collective.** What rank 0 finds, on every rank. Under the pulse.
bool ask_rank_0(Communicator& comm, const std::function<bool()>& question) {
  std::int64_t yes = 0;
  with_pulse(comm, [&](PulseControl&) {
    if (comm.rank() == 0) yes = question() ? 1 : 0;
  });
  comm.all_reduce_sum({&yes, 1});
  return yes != 0;
}

/// What an earlier attempt left of the output, if it can be gone on with.
Leftover leftover_of(const RunOptions& options, const Checkpoint* checkpoint, Communicator& comm) {
  if (checkpoint == nullptr || !checkpoint->resumed()) return Leftover::remove;
  const bool is_there = ask_rank_0(comm, [&] {
    if (!checkpoint->attempt(projection_pass)) return false;
    if (is_partial_of(options.output, checkpoint->run())) return true;
    checkpoint->forget(projection_pass);
    return false;
  });
  return is_there ? Leftover::keep : Leftover::remove;
}

RunSummary run_attempt(const RunOptions& options, Communicator& comm, Arena& arena) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<MemoryBudget> budget;
  std::unique_ptr<RunOutput> output;
  RunInputs inputs;
  with_pulse(comm, [&](PulseControl&) {
    budget.emplace(buffer_limit(options.memory, comm.local_size()));
    inputs = open_inputs(options, comm.rank());
  });
  const std::string fingerprint = run_fingerprint(options, inputs);
  RunSummary summary;
  summary.output = options.output;
  if (options.resume == Resume::yes &&
      ask_rank_0(comm, [&] { return is_finished(options.output, fingerprint); })) {
    for (const Plate& plate : inputs.plates) summary.resumed_cells += plate.data->n_obs();
    if (!options.checkpoint.empty()) {
      // It may have ended between the output's last step and this one.
      const Checkpoint done(options, fingerprint, comm);
      if (comm.rank() == 0) done.remove();
    }
    return summary;
  }
  std::optional<Checkpoint> checkpoint;
  if (!options.checkpoint.empty()) checkpoint.emplace(options, fingerprint, comm);
  const Leftover leftover = leftover_of(options, checkpoint ? &*checkpoint : nullptr, comm);
  with_pulse(comm, [&](PulseControl&) {
    output = std::make_unique<RunOutput>(options, comm, leftover);
    if (checkpoint) output->keep_partial();
  });
  CellPlan plan = plan_cells(inputs, options, comm, arena);
  check_cells(options, inputs, plan);

  RunContext context{
      options, comm, arena, *budget, inputs, plan, checkpoint ? &*checkpoint : nullptr, {}, {}};
  std::shared_ptr<ScratchFile> scratch;
  MemoryBudget::Reservation standing;
  with_pulse(comm, [&](PulseControl&) {
    scratch = open_scratch(options, plan);
    prepare_rows(inputs, scratch == nullptr ? std::filesystem::path() : scratch->folder(), plan,
                 arena);
    standing = budget->reserve(
        static_cast<std::int64_t>(plan.batch.size()) * 20 +
            inputs.n_genes() * static_cast<std::int64_t>(sizeof(GeneTally)) * arena.threads() +
            inputs.n_batches() * GeneSums::bytes(inputs.n_genes()) + output_buffers(options),
        "per-gene and per-cell sums and the output's chunks");
  });
  const auto when_full =
      options.scratch == "auto" ? BlobStore::WhenFull::drop : BlobStore::WhenFull::fail;

  BlobStore cache(plan.mine.size(), scratch, when_full, *budget, 0);
  const Counts counts = count_pass(context, cache);
  const std::vector<BatchSums> log_sums = options.flavor == HvgFlavor::cell_ranger
                                              ? log_pass(context, counts, cache)
                                              : std::vector<BatchSums>{};
  const ChosenGenes chosen = choose_genes(context, counts, log_sums);
  check_components(options, plan.n_cells(), chosen.kept.size());
  log_info(fmt::format("{} of {} genes were chosen in {} or more of {} batches",
                       grouped(static_cast<std::int64_t>(chosen.kept.size())),
                       grouped(inputs.n_genes()), min_plates(options, inputs.n_batches()),
                       inputs.n_batches()));

  const std::vector<double> factors = cell_factors(context, counts);
  const GeneSlots slots = slots_of(inputs, chosen.kept);
  BlobStore small(plan.mine.size(), scratch, when_full, *budget, budget->limit() / 4);
  std::vector<std::int64_t> kept_nnz;  // of this rank's segments
  const Components components =
      gram_pass(context, counts, factors, slots, chosen.kept, cache, small, kept_nnz);

  {
    const Exchange exchange(context, "sizes of segments", Exchange::Within::last_pass);
    kept_nnz = all_gather(comm, kept_nnz);
  }
  std::vector<std::int64_t> nonzeros_before = {0};
  std::partial_sum(kept_nnz.begin(), kept_nnz.end(), std::back_inserter(nonzeros_before));
  output->create(context, chosen, components, nonzeros_before);
  project_pass(context, components, factors, slots, cache, small, nonzeros_before,
               {output->partial(), [&](PulseControl& control, const RowsOfArrays& done) {
                  return output->projection_outputs(control, done);
                }});

  // The scratch file's pages need not reach the disk when the output is synced to it.
  cache.clear();
  small.clear();
  scratch.reset();

  summary.n_cells = plan.n_cells();
  summary.n_genes = slots.n_slots;
  summary.n_comps = components.k;
  summary.nonzeros = nonzeros_before.back();
  summary.resumed_cells = counts.resumed_cells;
  if (comm.rank() == 0) summary.plates = funnel_of(context, counts, chosen);
  gather_timings(context, summary);
  output->finish(context, fingerprint, summary);
  if (checkpoint && comm.rank() == 0) checkpoint->remove();
  summary.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return summary;
}

}  // namespace

RunSummary run(const RunOptions& options, Communicator& comm, Arena& arena) {
  check_options(options);
  try {
    return run_attempt(options, comm, arena);
  } catch (const Error& error) {
    if (error.kind() != Error::Kind::stopped || options.checkpoint.empty()) throw;
    throw resumable_error(
        fmt::format("{}; the same command with --resume goes on from {}, on any number of ranks",
                    error.what(), options.checkpoint.string()));
  }
}

}  // namespace cellmill
