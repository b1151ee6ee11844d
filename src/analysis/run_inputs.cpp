#include "analysis/run_inputs.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <mutex>
#include <numeric>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Names of a plate's genes: the index of var, or the column `--gene-key`.
Strings gene_names(const AnnData& data, const std::optional<std::string>& gene_key) {
  const DataFrame& var = data.var();
  const Range all{0, var.n_rows()};
  if (!gene_key) return var.index(all);
  const ColumnInfo& column = var.column(*gene_key);
  if (column.kind == ColumnKind::string || column.kind == ColumnKind::nullable_string) {
    return var.read(*gene_key, all).strings;
  }
  if (column.kind == ColumnKind::categorical) {
    const Strings levels = var.levels(*gene_key);
    Strings names;
    for (const std::int32_t code : var.read(*gene_key, all).codes) {
      names.push_back(code < 0 ? std::string_view{} : levels[code]);
    }
    return names;
  }
  throw input_error(
      fmt::format("{}: --gene-key {}: a column of names is expected, this one holds {}",
                  var.location(), *gene_key, dtype_name(column.dtype)));
}

/// Up to three names that occur more than once.
std::vector<std::string> duplicates(const Strings& names) {
  std::unordered_map<std::string_view, int> seen;
  std::vector<std::string> twice;
  for (std::int64_t i = 0; i < names.size(); ++i) {
    if (++seen[names[i]] == 2 && twice.size() < 3) twice.emplace_back(names[i]);
  }
  return twice;
}

/// \throws Error(input) for duplicates where names must join
/// \returns what to warn of, or nothing
std::string duplicate_warning(const Plate& plate, const Strings& names, bool joins) {
  const std::vector<std::string> twice = duplicates(names);
  if (twice.empty()) return {};
  const std::string found = fmt::format("{}: gene names that occur more than once, e.g. {}",
                                        plate.data->var().location(), fmt::join(twice, ", "));
  if (joins) {
    throw input_error(
        found +
        "; plates are joined by gene name: give a var column of unique names with --gene-key");
  }
  return found;
}

/// Adds a plate's genes to those of all.
void match_genes(RunInputs& inputs, Plate& plate, const Strings& names, bool joins,
                 std::unordered_map<std::string, std::int32_t>& places) {
  plate.gene.resize(static_cast<std::size_t>(names.size()));
  for (std::int64_t i = 0; i < names.size(); ++i) {
    const auto next = static_cast<std::int32_t>(inputs.genes.size());
    std::int32_t place = next;
    // One plate needs no join: its genes are told apart by position, whatever their names.
    if (joins) place = places.emplace(std::string(names[i]), next).first->second;
    if (place == next) {
      inputs.genes.emplace_back(names[i]);
      inputs.in_plates.push_back(0);
    }
    ++inputs.in_plates[static_cast<std::size_t>(place)];
    plate.gene[static_cast<std::size_t>(i)] = place;
  }
}

/// Levels of the batch key over all plates, by name, in order of first appearance.
void match_batches(RunInputs& inputs, const std::string& key) {
  std::unordered_map<std::string, std::int32_t> places;
  for (Plate& plate : inputs.plates) {
    const DataFrame& obs = plate.data->obs();
    if (obs.column(key).kind != ColumnKind::categorical) {
      throw input_error(
          fmt::format("{}: --batch-key {}: a categorical column is expected, this one is {}",
                      obs.location(), key, dtype_name(obs.column(key).dtype)));
    }
    const Strings levels = obs.levels(key);
    for (std::int64_t i = 0; i < levels.size(); ++i) {
      const auto next = static_cast<std::int32_t>(inputs.batches.size());
      const auto [at, added] = places.emplace(std::string(levels[i]), next);
      if (added) inputs.batches.emplace_back(levels[i]);
      plate.batch_level.push_back(at->second);
    }
  }
}

}  // namespace

RunInputs open_inputs(const RunOptions& options, int rank) {
  if (options.plates.empty()) throw usage_error("no plates were given");
  RunInputs inputs;
  if (options.filter) inputs.filter.emplace(*options.filter);
  const bool joins = options.plates.size() > 1;
  std::unordered_map<std::string, std::int32_t> places;
  std::set<std::string> names;
  Strings previous;  // gene names of the plate before
  for (const auto& path : options.plates) {
    Plate plate;
    plate.data = AnnData::open(path);
    plate.name = plate_label(path);
    if (!names.insert(plate.name).second) {
      throw input_error(fmt::format(
          "two plates are named {}: the file names must differ, because obs['{}'] holds them",
          plate.name, options.label));
    }
    (void)plate.data->x();  // says so if there is none
    if (inputs.filter) inputs.filter->check(plate.data->obs());
    Strings genes = gene_names(*plate.data, options.gene_key);
    if (!inputs.plates.empty() && genes == previous) {
      // The plates of one experiment: nothing to look up.
      plate.gene = inputs.plates.back().gene;
      for (const std::int32_t place : plate.gene) {
        ++inputs.in_plates[static_cast<std::size_t>(place)];
      }
    } else {
      const std::string twice = duplicate_warning(plate, genes, joins);
      if (rank == 0 && !twice.empty()) log_warning(twice);
      match_genes(inputs, plate, genes, joins, places);
      previous = std::move(genes);
    }
    if (rank == 0 && plate.data->obs().has(options.label)) {
      log_warning(fmt::format(
          "{}: the column '{}' is replaced by the plate's name; choose another with --label",
          plate.data->obs().location(), options.label));
    }
    inputs.plates.push_back(std::move(plate));
  }

  const auto n_plates = static_cast<std::int32_t>(inputs.plates.size());
  const auto common = std::count(inputs.in_plates.begin(), inputs.in_plates.end(), n_plates);
  if (common < inputs.n_genes()) {
    log_info(fmt::format("plates have different genes: {} in all of them, {} in any; --join {}",
                         grouped(common), grouped(inputs.n_genes()),
                         options.join == GeneJoin::inner ? "inner" : "outer"));
    if (common == 0 && options.join == GeneJoin::inner) {
      throw input_error(fmt::format(
          "no gene is in all plates: {} has e.g. {}, {} has e.g. {}; if one has symbols and "
          "another ids, "
          "name a var column with --gene-key",
          inputs.plates.front().name, inputs.genes.front(), inputs.plates.back().name,
          inputs.genes[static_cast<std::size_t>(
              inputs.plates.back().gene.empty() ? 0 : inputs.plates.back().gene.front())]));
    }
  }
  if (options.batch_key) {
    match_batches(inputs, *options.batch_key);
  } else {
    for (const Plate& plate : inputs.plates) inputs.batches.push_back(plate.name);
  }
  return inputs;
}

std::vector<bool> kept_rows(const RunInputs& inputs, const Plate& plate, Range rows,
                            const RunOptions& options) {
  const DataFrame& obs = plate.data->obs();
  std::vector<bool> keep = inputs.filter
                               ? inputs.filter->evaluate(obs, rows)
                               : std::vector<bool>(static_cast<std::size_t>(rows.size()), true);
  if (options.batch_key) {
    // A cell of no batch can neither be normalised by its batch's median nor be counted in it.
    const std::vector<std::int32_t> codes = obs.read(*options.batch_key, rows).codes;
    for (std::size_t i = 0; i < codes.size(); ++i) keep[i] = keep[i] && codes[i] >= 0;
  }
  return keep;
}

std::vector<Range> CellPlan::rows_of_ranks() const {
  std::vector<Range> rows;
  rows.reserve(shards.size());
  for (const Range& shard : shards) {
    rows.push_back({kept_before[static_cast<std::size_t>(shard.begin)],
                    kept_before[static_cast<std::size_t>(shard.end)]});
  }
  return rows;
}

std::int64_t CellPlan::kept_of_plate(std::int32_t plate) const {
  std::int64_t kept = 0;
  for (std::size_t at = 0; at < segments.size(); ++at) {
    if (segments[at].source == plate) kept += kept_before[at + 1] - kept_before[at];
  }
  return kept;
}

namespace {

/// Segments whose offsets or obs are read together: enough that a chunk of either is decoded once
/// or twice, not often.
constexpr std::int64_t segments_together = 25;

/// The end of a run of segments [begin, …) of one plate, at most `limit` long.
std::int64_t run_end(const std::vector<Segment>& segments, std::int64_t begin, std::int64_t end) {
  std::int64_t stop = begin;
  while (stop < end && stop - begin < segments_together &&
         segments[static_cast<std::size_t>(stop)].source ==
             segments[static_cast<std::size_t>(begin)].source) {
    ++stop;
  }
  return stop;
}

std::vector<Range> runs_of(const std::vector<Segment>& segments, Range part) {
  std::vector<Range> runs;
  for (std::int64_t at = part.begin; at < part.end; at = runs.back().end) {
    runs.push_back({at, run_end(segments, at, part.end)});
  }
  return runs;
}

Range rows_of(const std::vector<Segment>& segments, Range run) {
  return {segments[static_cast<std::size_t>(run.begin)].rows.begin,
          segments[static_cast<std::size_t>(run.end) - 1].rows.end};
}

void count_nonzeros(const RunInputs& inputs, std::vector<Segment>& segments, Range part,
                    Arena& arena) {
  const std::vector<Range> runs = runs_of(segments, part);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows = rows_of(segments, run);
    const auto source =
        static_cast<std::size_t>(segments[static_cast<std::size_t>(run.begin)].source);
    const std::vector<std::int64_t> indptr = inputs.plates[source].data->x().indptr(rows);
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      Segment& segment = segments[static_cast<std::size_t>(at)];
      segment.nnz = indptr[static_cast<std::size_t>(segment.rows.end - rows.begin)] -
                    indptr[static_cast<std::size_t>(segment.rows.begin - rows.begin)];
    }
  });
}

/// Masks of this rank's segments and the batches of the cells that stay.
void choose_cells(const RunInputs& inputs, const RunOptions& options, CellPlan& plan,
                  Arena& arena) {
  const auto n_mine = static_cast<std::size_t>(plan.mine.size());
  plan.keep.resize(n_mine);
  std::vector<std::vector<std::int32_t>> batches(n_mine);
  plan.read_of_batch.assign(inputs.batches.size(), 0);
  std::mutex counting;
  const std::vector<Range> runs = runs_of(plan.segments, plan.mine);
  arena.for_each(static_cast<std::int64_t>(runs.size()), [&](std::int64_t r) {
    const Range run = runs[static_cast<std::size_t>(r)];
    const Range rows = rows_of(plan.segments, run);
    const std::int32_t source = plan.segments[static_cast<std::size_t>(run.begin)].source;
    const Plate& plate = inputs.plates[static_cast<std::size_t>(source)];
    const std::vector<bool> keep = kept_rows(inputs, plate, rows, options);
    std::vector<std::int32_t> codes;
    std::vector<std::int64_t> read(inputs.batches.size(), 0);
    if (options.batch_key) {
      codes = plate.data->obs().read(*options.batch_key, rows).codes;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        if (codes[i] >= 0)
          ++read[static_cast<std::size_t>(plate.batch_level[static_cast<std::size_t>(codes[i])])];
      }
    } else {
      read[static_cast<std::size_t>(source)] = rows.size();
    }
    {
      const std::lock_guard lock(counting);
      for (std::size_t b = 0; b < read.size(); ++b) plan.read_of_batch[b] += read[b];
    }
    for (std::int64_t at = run.begin; at < run.end; ++at) {
      const Range mine = plan.segments[static_cast<std::size_t>(at)].rows;
      const auto slot = static_cast<std::size_t>(at - plan.mine.begin);
      for (std::int64_t row = mine.begin - rows.begin; row < mine.end - rows.begin; ++row) {
        const auto i = static_cast<std::size_t>(row);
        plan.keep[slot].push_back(keep[i]);
        if (!keep[i]) continue;
        batches[slot].push_back(
            options.batch_key ? plate.batch_level[static_cast<std::size_t>(codes[i])] : source);
      }
    }
  });
  for (const auto& of_segment : batches)
    plan.batch.insert(plan.batch.end(), of_segment.begin(), of_segment.end());
}

}  // namespace

void prepare_rows(const RunInputs& inputs, const std::filesystem::path& folder, CellPlan& plan,
                  Arena& arena) {
  for (std::size_t p = 0; p < inputs.plates.size(); ++p) {
    Range part = plan.mine;  // of this plate
    const auto source_of = [&](std::int64_t at) {
      return static_cast<std::size_t>(plan.segments[static_cast<std::size_t>(at)].source);
    };
    while (part.begin < part.end && source_of(part.begin) != p) ++part.begin;
    while (part.begin < part.end && source_of(part.end - 1) != p) --part.end;
    const MatrixSource& x = inputs.plates[p].data->x();
    if (part.empty() || x.has_rows()) continue;
    x.prepare(rows_of(plan.segments, part), folder, arena);
    count_nonzeros(inputs, plan.segments, part, arena);
  }
}

CellPlan plan_cells(const RunInputs& inputs, const RunOptions& options, Communicator& comm,
                    Arena& arena) {
  std::vector<std::int64_t> rows;
  for (const Plate& plate : inputs.plates) rows.push_back(plate.data->n_obs());
  CellPlan plan;
  plan.segments = make_segments(rows);
  const auto n_segments = static_cast<std::int64_t>(plan.segments.size());

  const Range part = even_part(n_segments, comm.size(), comm.rank());
  with_pulse(comm, [&](PulseControl&) { count_nonzeros(inputs, plan.segments, part, arena); });
  std::vector<std::int64_t> numbers;
  for (std::int64_t at = part.begin; at < part.end; ++at) {
    numbers.push_back(plan.segments[static_cast<std::size_t>(at)].nnz);
  }
  numbers = all_gather(comm, numbers);
  for (std::size_t at = 0; at < plan.segments.size(); ++at) plan.segments[at].nnz = numbers[at];

  const ShardPlan shards(plan.segments, comm.size());
  for (int rank = 0; rank < comm.size(); ++rank) plan.shards.push_back(shards.segments_of(rank));
  plan.mine = shards.segments_of(comm.rank());
  with_pulse(comm, [&](PulseControl&) { choose_cells(inputs, options, plan, arena); });

  std::vector<std::int64_t> kept;
  for (const auto& of_segment : plan.keep)
    kept.push_back(std::count(of_segment.begin(), of_segment.end(), true));
  kept = all_gather(comm, kept);
  comm.all_reduce_sum(plan.read_of_batch);
  plan.kept_before.assign(1, 0);
  std::partial_sum(kept.begin(), kept.end(), std::back_inserter(plan.kept_before));
  return plan;
}

}  // namespace cellmill
