#include "simulate/population.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "simulate/draws.hpp"

namespace cellmill::simulation {
namespace {

// Roughly Tahoe-100M: how far gene probabilities and depths spread, and how many genes are silent.
constexpr double kGeneSigma = 2.6;
constexpr double kSilentGenes = 0.45;
/// However shallow the cells are, some of the background is left.
constexpr double kGreatestShare = 0.4;

// Markers are a few per cent of the genes. Most are in one to four lines of fifty, with some three
// counts a cell: enough for their dispersion to stand out, while their mean stays in seurat's
// lowest bin, where most genes are. Some are in many lines and higher; in the bins there they must
// be few.
constexpr double kMarkerGenes = 0.0335;
constexpr double kBroadMarkers = 0.07;

constexpr std::int32_t kMitochondrialGenes = 13;
constexpr std::int32_t kGenesPerDrug = 15;
constexpr double kCountsPerDrugGene = 1.6;
constexpr double kBatchSigma = 0.1;

/// How a marker gene is expressed: in which fraction of the lines, and how many counts it has in a
/// cell of such a line.
struct Marker {
  std::int32_t gene;
  double lines;
  double counts;
};

Marker make_marker(std::int32_t gene, Draws& draws) {
  if (draws.uniform() < kBroadMarkers) {
    const double lines = 0.12 + 0.6 * std::pow(draws.uniform(), 2.5);
    return {gene, lines, 3.5 * draws.lognormal(0.15)};
  }
  const auto lines = static_cast<double>(1 + std::max(draws.below(4), draws.below(4)));
  return {gene, 0.02 * lines, (3.8 - 0.37 * lines) * draws.lognormal(0.15)};
}

std::int32_t mitochondrial_genes(const SimulateOptions& options) {
  return std::min(kMitochondrialGenes, options.genes / 100);
}

/// Puts a marker into some of the lines, always at least one.
void add_to_lines(const Marker& marker, const SimulateOptions& options,
                  std::vector<Programme>& lines) {
  Draws draws(options.seed, Subject::line, 0, marker.gene);
  std::vector<std::size_t> order(lines.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto wanted = std::llround(marker.lines * static_cast<double>(lines.size()));
  const auto count = std::clamp<std::size_t>(static_cast<std::size_t>(wanted), 1, lines.size());
  for (std::size_t i = 0; i < count; ++i) {
    const auto other =
        i + static_cast<std::size_t>(draws.below(static_cast<std::int64_t>(order.size() - i)));
    std::swap(order[i], order[other]);
    lines[order[i]].genes.push_back(marker.gene);
    lines[order[i]].counts.push_back(marker.counts * draws.lognormal(0.2));
  }
}

std::vector<double> abundances(const SimulateOptions& options) {
  std::vector<double> cumulative;
  double sum = 0;
  for (std::int32_t line = 0; line < options.cell_lines; ++line) {
    sum += Draws(options.seed, Subject::line, 1, line).lognormal(0.2);
    cumulative.push_back(sum);
  }
  for (double& value : cumulative) value /= sum;
  return cumulative;
}

Programme make_drug(std::int32_t drug, const std::vector<Marker>& markers,
                    const SimulateOptions& options) {
  Programme programme;
  if (drug == 0 || markers.empty()) return programme;
  Draws draws(options.seed, Subject::drug, drug);
  for (std::int32_t i = 0; i < kGenesPerDrug; ++i) {
    const auto chosen = draws.below(static_cast<std::int64_t>(markers.size()));
    const std::int32_t gene = markers[static_cast<std::size_t>(chosen)].gene;
    const auto& genes = programme.genes;
    if (std::find(genes.begin(), genes.end(), gene) != genes.end()) continue;
    programme.genes.push_back(gene);
    programme.counts.push_back(kCountsPerDrugGene * draws.lognormal(0.5));
  }
  return programme;
}

}  // namespace

Population make_population(const SimulateOptions& options) {
  Population population;
  population.background.resize(static_cast<std::size_t>(options.genes));
  population.lines.resize(static_cast<std::size_t>(options.cell_lines));
  population.line_abundance = abundances(options);
  std::vector<Marker> markers;
  for (std::int32_t gene = 0; gene < options.genes; ++gene) {
    Draws draws(options.seed, Subject::gene, 0, gene);
    if (gene < mitochondrial_genes(options)) {
      population.mitochondrial.genes.push_back(gene);
      population.mitochondrial.counts.push_back(draws.lognormal(1));
      continue;
    }
    if (draws.uniform() < kMarkerGenes) {
      markers.push_back(make_marker(gene, draws));
      // So little that other lines hardly ever show it.
      population.background[static_cast<std::size_t>(gene)] = draws.lognormal(0.5);
    } else if (draws.uniform() >= kSilentGenes) {
      population.background[static_cast<std::size_t>(gene)] = draws.lognormal(kGeneSigma);
    }
  }
  for (const Marker& marker : markers) add_to_lines(marker, options, population.lines);
  for (std::int32_t drug = 0; drug < kDrugs; ++drug) {
    population.drugs.push_back(make_drug(drug, markers, options));
  }
  return population;
}

std::vector<double> plate_background(const Population& population, const SimulateOptions& options,
                                     std::int32_t plate) {
  std::vector<double> weights = population.background;
  for (std::size_t gene = 0; gene < weights.size(); ++gene) {
    Draws draws(options.seed, Subject::batch, plate + 1, static_cast<std::int64_t>(gene));
    if (weights[gene] > 0) weights[gene] *= draws.lognormal(kBatchSigma);
  }
  return weights;
}

double programme_share(const Programme& programme, double depth) {
  const double counts = std::accumulate(programme.counts.begin(), programme.counts.end(), 0.0);
  return std::min(counts / depth, kGreatestShare);
}

double plate_depth(const SimulateOptions& options, std::int32_t plate) {
  return Draws(options.seed, Subject::batch, 0, plate).lognormal(0.05);
}

std::int32_t drug_of_sample(std::int32_t plate, std::int32_t sample) {
  if (sample == 0) return 0;
  return 1 + (plate * (kSamplesPerPlate - 1) + sample - 1) % (kDrugs - 1);
}

std::string gene_name(const Population& population, std::int32_t gene) {
  const bool mitochondrial = static_cast<std::size_t>(gene) < population.mitochondrial.genes.size();
  return mitochondrial ? fmt::format("MT-{:02d}", gene + 1) : fmt::format("GENE{:05d}", gene + 1);
}

std::string gene_id(std::int32_t gene) { return fmt::format("SIMG{:011d}", gene + 1); }

std::string drug_name(std::int32_t drug) {
  return drug == 0 ? "DMSO_TF" : fmt::format("drug_{:02d}", drug);
}

std::string line_name(std::int32_t line) { return fmt::format("CVCL_{:04d}", line + 1); }

std::string sample_name(std::int32_t plate, std::int32_t sample) {
  return fmt::format("smp_{:04d}", plate * kSamplesPerPlate + sample + 1);
}

std::string barcode(std::int32_t plate, std::int64_t cell) {
  // Three rounds of 192 wells, as combinatorial barcoding numbers them.
  constexpr std::int64_t kWells = 192;
  return fmt::format("{:02d}_{:03d}_{:03d}-lib_{:03d}", cell / (kWells * kWells) + 1,
                     cell / kWells % kWells + 1, cell % kWells + 1, plate + 101);
}

}  // namespace cellmill::simulation
