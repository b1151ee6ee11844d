#include "simulate/plate.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "simulate/draws.hpp"

namespace cellmill::simulation {
namespace {

constexpr double kFullCells = 0.9;
/// Counts of a cell that does not pass the filter, relative to others.
constexpr double kMinimalDepth = 0.3;

AliasTable make_background(const Population& population, const SimulateOptions& options,
                           std::int32_t plate) {
  std::vector<std::int32_t> genes(population.background.size());
  std::iota(genes.begin(), genes.end(), 0);
  return {genes, plate_background(population, options, plate)};
}

/// How many of `counts` fall to something that has a share of them: binomial, nearly.
std::int64_t part_of(std::int64_t counts, double share, Draws& draws) {
  const double mean = static_cast<double>(counts) * share;
  const double part = mean + std::sqrt(mean * (1 - share)) * draws.normal();
  return std::clamp<std::int64_t>(std::llround(part), 0, counts);
}

}  // namespace

Plate::Scratch::Scratch(std::int32_t genes)
    : counts_(static_cast<std::size_t>(genes)),
      expressed_((static_cast<std::size_t>(genes) + 63) / 64) {}

Plate::Plate(const Population& population, const SimulateOptions& options, std::int32_t index,
             double depth)
    : population_(population),
      options_(options),
      index_(index),
      depth_(depth * plate_depth(options, index)),
      background_(make_background(population, options, index)),
      mitochondrial_(population.mitochondrial, kMitochondrialShare) {
  for (const Programme& line : population.lines) {
    lines_.emplace_back(line, programme_share(line, depth));
  }
  for (std::int32_t sample = 0; sample < kSamplesPerPlate; ++sample) {
    const Programme& drug =
        population.drugs[static_cast<std::size_t>(drug_of_sample(index, sample))];
    samples_.emplace_back(drug, programme_share(drug, depth));
  }
}

Cell Plate::cell(std::int64_t index) const {
  Draws draws(options_.seed, Subject::cell, 2 * index_, index);
  Cell cell;
  const auto& abundance = population_.line_abundance;
  const auto line = std::upper_bound(abundance.begin(), abundance.end() - 1, draws.uniform());
  cell.line = static_cast<std::int32_t>(line - abundance.begin());
  cell.sample = static_cast<std::int32_t>(draws.below(kSamplesPerPlate));
  cell.full = draws.uniform() < kFullCells;
  const double depth = depth_ * draws.lognormal(kDepthSigma) * (cell.full ? 1 : kMinimalDepth);
  cell.counts = std::max<std::int64_t>(std::llround(depth), 1);
  return cell;
}

/// Calls `take` with the gene of each count of a cell.
template <class Take>
void Plate::each_count(std::int64_t index, const Take& take) const {
  const Cell what = cell(index);
  Draws draws(options_.seed, Subject::cell, 2 * index_ + 1, index);
  std::int64_t rest = what.counts;
  const auto draw_from = [&](const AliasTable& table, std::int64_t counts) {
    if (table.empty()) return;
    rest -= counts;
    for (std::int64_t i = 0; i < counts; ++i) take(table.gene(draws.bits()));
  };
  const Source& line = lines_[static_cast<std::size_t>(what.line)];
  const Source& drug = samples_[static_cast<std::size_t>(what.sample)];
  const double mitochondrial_share =
      std::min(mitochondrial_.share * draws.lognormal(kMitochondrialSigma), 0.4);
  const std::int64_t of_line = part_of(what.counts, line.share, draws);
  const std::int64_t of_drug = part_of(what.counts, drug.share, draws);
  const std::int64_t mitochondrial = part_of(what.counts, mitochondrial_share, draws);
  draw_from(line.table, of_line);
  draw_from(drug.table, std::min(of_drug, rest));
  draw_from(mitochondrial_.table, std::min(mitochondrial, rest));
  draw_from(background_, rest);
}

CellSummary Plate::summarise(std::int64_t index, Scratch& scratch) const {
  CellSummary summary;
  const auto mitochondrial = static_cast<std::int32_t>(population_.mitochondrial.genes.size());
  each_count(index, [&](std::int32_t gene) {
    const auto at = static_cast<std::uint32_t>(gene);
    scratch.expressed_[at / 64] |= std::uint64_t{1} << (at % 64);
    summary.mitochondrial_counts += gene < mitochondrial ? 1 : 0;
  });
  for (std::uint64_t& word : scratch.expressed_) {
    summary.genes += std::popcount(word);
    word = 0;
  }
  return summary;
}

void Plate::draw(std::int64_t index, Scratch& scratch, std::vector<std::int32_t>& genes,
                 std::vector<float>& values) const {
  each_count(index, [&](std::int32_t gene) {
    const auto at = static_cast<std::uint32_t>(gene);
    scratch.expressed_[at / 64] |= std::uint64_t{1} << (at % 64);
    ++scratch.counts_[at];
  });
  for (std::size_t i = 0; i < scratch.expressed_.size(); ++i) {
    for (std::uint64_t word = scratch.expressed_[i]; word != 0; word &= word - 1) {
      const std::size_t gene = i * 64 + static_cast<std::size_t>(std::countr_zero(word));
      genes.push_back(static_cast<std::int32_t>(gene));
      values.push_back(static_cast<float>(scratch.counts_[gene]));
      scratch.counts_[gene] = 0;
    }
    scratch.expressed_[i] = 0;
  }
}

}  // namespace cellmill::simulation
