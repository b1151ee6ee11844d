#include "train/gene_counts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "train/median_search.hpp"
#include "train/row_copy.hpp"
#include "train/tokenizers.hpp"

namespace cellmill {
namespace {

using Medians = MakeVocabularyOptions::Medians;

/// What a cell's counts are scaled to.
constexpr double target_sum = 1e4;

/// Values of a segment, gene by gene: one gene's bins fit the caches, those of all don't.
struct ByGene {
  std::vector<std::uint32_t> end;  ///< of each gene's values
  RawVector<double> values;
  [[nodiscard]] std::int64_t held_bytes() const {
    return static_cast<std::int64_t>(end.capacity() * sizeof(end[0]) +
                                     values.capacity() * sizeof(values[0]));
  }
};

struct Item : FetchedSegment {
  std::vector<std::uint32_t> n_cells;  ///< of each gene; empty: not counted
};

std::span<const float> values_of(const CsrChunk& chunk, std::int64_t row) {
  const auto at = static_cast<std::size_t>(row);
  const auto begin = static_cast<std::size_t>(chunk.indptr[at]);
  return std::span(chunk.values)
      .subspan(begin, static_cast<std::size_t>(chunk.indptr[at + 1]) - begin);
}

/// The place in its source of a kept cell of a segment.
std::int64_t row_of(const InputRows& rows, std::int64_t segment, std::int64_t kept) {
  const std::vector<bool>& keep = rows.keep(segment);
  std::int64_t row = 0;
  for (;; ++row) {
    if (keep[static_cast<std::size_t>(row)] && kept-- == 0) break;
  }
  return rows.segment(segment).rows.begin + row;
}

void check_values(const InputRows& rows, std::int64_t segment, const CsrChunk& chunk,
                  Medians medians) {
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::span<const float> values = values_of(chunk, row);
    try {
      if (medians == Medians::nonzero) {
        check_counts(values);
      } else {
        check_finite(values);
      }
    } catch (const Error& error) {
      throw Error(error.kind(), fmt::format("{}, row {}: {}",
                                            rows.matrix(rows.segment(segment).source).location(),
                                            grouped(row_of(rows, segment, row)), error.what()));
    }
  }
}

std::vector<double> totals_of(const CsrChunk& chunk) {
  std::vector<double> totals;
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::span<const float> values = values_of(chunk, row);
    totals.push_back(row_total(values.data(), static_cast<std::int64_t>(values.size())));
  }
  return totals;
}

std::vector<std::uint32_t> count_expressed(const CsrChunk& chunk, std::int32_t n_genes) {
  std::vector<std::uint32_t> n_cells(static_cast<std::size_t>(n_genes), 0);
  for (std::size_t i = 0; i < static_cast<std::size_t>(chunk.nnz()); ++i) {
    n_cells[static_cast<std::size_t>(chunk.indices[i])] += chunk.values[i] > 0 ? 1 : 0;
  }
  return n_cells;
}

/// Fills `out` with values above 0, scaled. \param n_cells how many each gene has
void sort_by_gene(const CsrChunk& chunk, std::span<const double> totals,
                  std::span<const std::uint32_t> n_cells, ByGene& out) {
  out.end.resize(n_cells.size());
  std::exclusive_scan(n_cells.begin(), n_cells.end(), out.end.begin(), std::uint32_t{0});
  out.values.resize(static_cast<std::size_t>(chunk.nnz()));
  for (std::size_t row = 0; row < totals.size(); ++row) {
    const auto begin = static_cast<std::size_t>(chunk.indptr[row]);
    const auto end = static_cast<std::size_t>(chunk.indptr[row + 1]);
    for (std::size_t i = begin; i < end; ++i) {
      if (!(chunk.values[i] > 0)) continue;
      out.values[out.end[static_cast<std::size_t>(chunk.indices[i])]++] =
          static_cast<double>(chunk.values[i]) / totals[row] * target_sum;
    }
  }
}

/// Shows a segment to the search. \param at its number: threads begin at genes far apart, so that
/// they seldom wait for each other
void show(MedianSearch& search, const ByGene& values, std::int64_t at) {
  const auto n_genes = static_cast<std::int64_t>(values.end.size());
  const std::int64_t first = at * 7'919 % std::max<std::int64_t>(n_genes, 1);
  for (std::int64_t i = 0; i < n_genes; ++i) {
    const std::int64_t gene = (first + i) % n_genes;
    const auto slot = static_cast<std::size_t>(gene);
    const std::size_t begin = slot == 0 ? 0 : values.end[slot - 1];
    search.add(static_cast<std::int32_t>(gene),
               std::span(values.values).subspan(begin, values.end[slot] - begin));
  }
}

/// Bytes that a segment takes: read, decoded, and sorted by gene.
std::int64_t cost_of(const InputRows& rows, std::int64_t at) {
  return segment_cost(rows, at) + rows.segment(at).nnz * static_cast<std::int64_t>(sizeof(double)) +
         std::int64_t{2} * rows.n_genes() * static_cast<std::int64_t>(sizeof(std::uint32_t));
}

/// One reading. \param n_cells where cells are counted; null: they were \param search may be null
void read_once(const InputPass& context, const std::string& name, Medians medians,
               std::vector<std::int64_t>* n_cells, MedianSearch* search) {
  const InputRows& rows = context.rows;
  Pool<CsrChunk> pool;
  Pool<ByGene> sorted;
  PassProgress progress(name, rows.n_cells());
  Pass pass =
      segment_pass<Item>(context, 0, pool, [&](std::int64_t at, CsrChunk& chunk, Item& item) {
        if (n_cells != nullptr) check_values(rows, at, chunk, medians);
        const std::vector<double> totals =
            search != nullptr ? totals_of(chunk) : std::vector<double>();
        keep_genes(rows, at, chunk);
        item.n_cells = count_expressed(chunk, rows.n_genes());
        if (search == nullptr) return;
        const auto by_gene = sorted.borrow();
        sort_by_gene(chunk, totals, item.n_cells, *by_gene);
        show(*search, *by_gene, at);
      });
  pass.cost = [&rows](std::int64_t at) { return cost_of(rows, at); };
  pass.deliver = [&](std::int64_t at, Fetched& fetched) {
    auto& item = static_cast<Item&>(fetched);
    if (n_cells != nullptr && !item.n_cells.empty()) {
      std::transform(item.n_cells.begin(), item.n_cells.end(), n_cells->begin(), n_cells->begin(),
                     [](std::uint32_t here, std::int64_t all) { return all + here; });
    }
    item.n_cells = {};
    progress.add(rows.kept(at).size(), item.bytes);
  };
  run_pass(pass, context.resources);
}

}  // namespace

GeneCounts count_genes(const InputPass& context, Medians medians) {
  const InputRows& rows = context.rows;
  GeneCounts counts;
  counts.n_cells.assign(static_cast<std::size_t>(rows.n_genes()), 0);
  if (medians == Medians::none) {
    read_once(context, "vocab", medians, &counts.n_cells, nullptr);
    counts.readings = 1;
    return counts;
  }
  if (rows.n_cells() > std::numeric_limits<std::uint32_t>::max()) {
    throw input_error(fmt::format("medians of more than {} cells are not possible",
                                  grouped(std::numeric_limits<std::uint32_t>::max())));
  }
  constexpr std::int64_t bytes_a_gene = 256;
  MemoryBudget& budget = context.resources.budget;
  const auto fixed = budget.reserve(rows.n_genes() * bytes_a_gene, "medians of genes");
  // At most half of the memory is the search's; two segments should be on their way.
  std::int64_t largest = 0;
  for (std::int64_t at = 0; at < rows.n_segments(); ++at) {
    largest = std::max(largest, cost_of(rows, at));
  }
  const std::int64_t left = budget.limit() - budget.reserved();
  const std::int64_t memory = std::clamp(left - 2 * largest, left / 8, left / 2);
  const auto tables = budget.reserve(memory, "medians of genes");
  // A cell of 100 million counts has 0.0001 of a gene that has one.
  constexpr double least = 1e-4;
  MedianSearch search(rows.n_genes(), {least, target_sum, rows.stored_nonzeros()}, memory);
  while (search.searching()) {
    const std::string name = fmt::format("vocab, reading {}", search.rounds() + 1);
    read_once(context, name, medians, search.rounds() == 0 ? &counts.n_cells : nullptr, &search);
    search.end_round();
  }
  counts.readings = search.rounds();
  counts.medians = search.medians();
  return counts;
}

}  // namespace cellmill
