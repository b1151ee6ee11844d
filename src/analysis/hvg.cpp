#include "cellmill/analysis/hvg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"

namespace cellmill {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
/// Stands for a mean of zero, so that the dispersion of an empty gene is 0, not 0/0.
constexpr double kEmptyMean = 1e-12;
/// 75th percentile of the standard normal: makes a median absolute deviation estimate sigma.
constexpr double kMadScale = 0.6744897501960817;

/// What a gene's dispersion is measured against.
struct BinStats {
  double average = kNan;
  double deviation = kNan;
};

/// Edges as pandas.cut(means, n_bins) makes them; bin i is (edge[i], edge[i + 1]].
std::vector<double> equal_width_edges(std::span<const double> means, std::int32_t n_bins) {
  const auto [least, greatest] = std::minmax_element(means.begin(), means.end());
  double low = *least;
  double high = *greatest;
  const bool constant = low == high;
  if (constant) {
    const double widening = low != 0 ? 0.001 * std::abs(low) : 0.001;
    low -= widening;
    high += widening;
  }
  const double step = (high - low) / n_bins;
  std::vector<double> edges(static_cast<std::size_t>(n_bins) + 1);
  for (std::size_t i = 0; i < edges.size(); ++i) edges[i] = static_cast<double>(i) * step + low;
  edges.back() = high;
  // Bins are open on the left; the least mean must still fall into the first one.
  if (!constant) edges.front() -= (high - low) * 0.001;
  return edges;
}

/// numpy.percentile(sorted, 100 * fraction), linear.
double percentile(std::span<const double> sorted, double fraction) {
  const double position = static_cast<double>(sorted.size() - 1) * fraction;
  const auto below = static_cast<std::size_t>(std::floor(position));
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - std::floor(position);
  const double step = sorted[above] - sorted[below];
  return weight < 0.5 ? sorted[below] + step * weight : sorted[above] - step * (1 - weight);
}

/// Edges at the percentiles 10, 15 … 100, open-ended. Equal ones, which make scanpy fail, count
/// once.
std::vector<double> percentile_edges(std::span<const double> means) {
  std::vector<double> sorted(means.begin(), means.end());
  std::sort(sorted.begin(), sorted.end());
  std::vector<double> edges{-std::numeric_limits<double>::infinity()};
  int equal = 0;
  for (int percent = 10; percent <= 100; percent += 5) {
    const double edge = percentile(sorted, percent / 100.0);
    if (edge == edges.back()) {
      ++equal;
    } else {
      edges.push_back(edge);
    }
  }
  edges.push_back(std::numeric_limits<double>::infinity());
  if (equal > 0) {
    log_warning(fmt::format(
        "highly variable genes (cell_ranger): {} of 19 percentiles of mean expression equal the "
        "one before, as happens when many genes have no counts; equal bin edges count once",
        equal));
  }
  return edges;
}

std::size_t bin_of(std::span<const double> edges, double mean) {
  // The first edge is below every mean, unless they differ by so little that lowering it was lost.
  const auto edge = std::lower_bound(edges.begin() + 1, edges.end(), mean);
  return static_cast<std::size_t>(edge - edges.begin()) - 1;
}

/// Mean and standard deviation (ddof 1), updated value by value: equal values give exactly 0.
BinStats mean_and_deviation(std::span<const double> values) {
  if (values.empty()) return {};
  double mean = 0;
  double squares = 0;
  double count = 0;
  for (const double value : values) {
    count += 1;
    const double from_old_mean = value - mean;
    mean += from_old_mean / count;
    squares += from_old_mean * (value - mean);
  }
  // Alone in its bin a gene gets the normalised dispersion 1.
  if (values.size() == 1) return {0, mean};
  return {mean, std::sqrt(squares / (count - 1))};
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

BinStats median_and_mad(std::span<const double> values) {
  if (values.empty()) return {};
  const double centre = median({values.begin(), values.end()});
  std::vector<double> distances(values.size());
  std::transform(values.begin(), values.end(), distances.begin(),
                 [centre](double value) { return std::abs(value - centre); });
  return {centre, median(std::move(distances)) / kMadScale};
}

/// Dispersions relative to those of genes with similar means.
std::vector<double> normalise_dispersions(std::span<const double> means,
                                          std::span<const double> dispersions,
                                          const HvgOptions& options) {
  const bool seurat = options.flavor == HvgFlavor::seurat;
  const auto edges = seurat ? equal_width_edges(means, options.n_bins) : percentile_edges(means);
  std::vector<std::vector<double>> bins(edges.size() - 1);
  for (std::size_t g = 0; g < means.size(); ++g) {
    if (!std::isnan(dispersions[g])) bins[bin_of(edges, means[g])].push_back(dispersions[g]);
  }
  std::vector<BinStats> stats(bins.size());
  std::transform(bins.begin(), bins.end(), stats.begin(), [seurat](std::span<const double> values) {
    return seurat ? mean_and_deviation(values) : median_and_mad(values);
  });
  std::vector<double> normalised(means.size());
  for (std::size_t g = 0; g < means.size(); ++g) {
    const BinStats& bin = stats[bin_of(edges, means[g])];
    normalised[g] = (dispersions[g] - bin.average) / bin.deviation;
  }
  return normalised;
}

/// The n-th largest that is not NaN; NaN (which nothing reaches) if there is none.
double cutoff_for_top(std::span<const double> normalised, const HvgOptions& options) {
  std::vector<double> present;
  std::copy_if(normalised.begin(), normalised.end(), std::back_inserter(present),
               [](double value) { return !std::isnan(value); });
  auto n = static_cast<std::size_t>(options.n_top_genes);
  if (n > present.size()) {
    log_warning(fmt::format(
        "{}highly variable genes: {} were asked for, {} genes have a normalised "
        "dispersion; all of these are taken",
        options.batch.empty() ? "" : options.batch + ": ", options.n_top_genes, present.size()));
    n = present.size();
  }
  if (n == 0) return kNan;
  const auto nth = present.begin() + static_cast<std::ptrdiff_t>(n - 1);
  std::nth_element(present.begin(), nth, present.end(), std::greater<>());
  return *nth;
}

void check(const GeneMoments& moments, const HvgOptions& options) {
  if (moments.n_cells < 2) {
    throw input_error(fmt::format(
        "highly variable genes: {} cells, at least 2 are needed for a variance", moments.n_cells));
  }
  if (moments.mean.size() != moments.variance.size()) {
    throw input_error(fmt::format("highly variable genes: {} means, but {} variances",
                                  moments.mean.size(), moments.variance.size()));
  }
  if (options.n_top_genes < 1) {
    throw input_error(
        fmt::format("n_top_genes is {}, at least 1 is expected", options.n_top_genes));
  }
  if (options.n_bins < 1) {
    throw input_error(fmt::format("n_bins is {}, at least 1 is expected", options.n_bins));
  }
  for (std::size_t g = 0; g < moments.mean.size(); ++g) {
    const double mean = moments.mean[g];
    const double variance = moments.variance[g];
    if (!std::isfinite(mean) || !std::isfinite(variance)) {
      throw input_error(fmt::format(
          "highly variable genes: gene {} has mean {} and variance {}, finite ones are expected", g,
          mean, variance));
    }
    if (options.flavor == HvgFlavor::seurat && mean <= -1) {
      throw input_error(fmt::format(
          "highly variable genes: gene {} has mean {}, counts that are not negative are expected",
          g, mean));
    }
  }
}

/// Genes that take part.
std::vector<std::size_t> used_genes(const GeneMoments& moments, EmptyGenes empty_genes) {
  std::vector<std::size_t> genes(moments.mean.size());
  std::iota(genes.begin(), genes.end(), std::size_t{0});
  if (empty_genes == EmptyGenes::drop) {
    std::erase_if(genes, [&](std::size_t g) { return moments.mean[g] == 0; });
  }
  return genes;
}

}  // namespace

HvgFlavor parse_hvg_flavor(const std::string& name) {
  if (name == "seurat") return HvgFlavor::seurat;
  if (name == "cell_ranger") return HvgFlavor::cell_ranger;
  throw usage_error("flavor '" + name + "' is not known; there are seurat and cell_ranger");
}

std::string hvg_flavor_name(HvgFlavor flavor) {
  return flavor == HvgFlavor::seurat ? "seurat" : "cell_ranger";
}

HvgResult highly_variable_genes(const GeneMoments& moments, const HvgOptions& options) {
  check(moments, options);
  const std::size_t n_genes = moments.mean.size();
  HvgResult result{std::vector<double>(n_genes), std::vector<double>(n_genes),
                   std::vector<float>(n_genes), std::vector<bool>(n_genes)};
  const std::vector<std::size_t> genes = used_genes(moments, options.empty_genes);
  if (genes.empty()) return result;

  std::vector<double> means(genes.size());
  std::vector<double> dispersions(genes.size());
  for (std::size_t i = 0; i < genes.size(); ++i) {
    const double mean = moments.mean[genes[i]] == 0 ? kEmptyMean : moments.mean[genes[i]];
    const double dispersion = moments.variance[genes[i]] / mean;
    const bool seurat = options.flavor == HvgFlavor::seurat;
    means[i] = seurat ? std::log1p(mean) : mean;
    dispersions[i] = !seurat ? dispersion : dispersion == 0 ? kNan : std::log(dispersion);
  }

  // Compared in double: in float, where they are stored, genes near the cutoff could tie.
  const std::vector<double> normalised = normalise_dispersions(means, dispersions, options);
  const double cutoff = cutoff_for_top(normalised, options);
  for (std::size_t i = 0; i < genes.size(); ++i) {
    result.means[genes[i]] = means[i];
    result.dispersions[genes[i]] = dispersions[i];
    result.dispersions_norm[genes[i]] = static_cast<float>(normalised[i]);
    result.highly_variable[genes[i]] = normalised[i] >= cutoff;
  }
  return result;
}

MergedHvg merge_hvg(std::span<const HvgResult> batches) {
  const std::size_t n_genes = batches.empty() ? 0 : batches.front().means.size();
  for (const HvgResult& batch : batches) {
    if (batch.means.size() != n_genes) {
      throw input_error(fmt::format("merging highly variable genes: batches of {} and of {} genes",
                                    n_genes, batch.means.size()));
    }
  }
  const auto mean_present = [&](std::size_t gene, auto member) {
    double sum = 0;
    int count = 0;
    for (const HvgResult& batch : batches) {
      const double value = (batch.*member)[gene];
      if (std::isnan(value)) continue;
      sum += value;
      ++count;
    }
    return count == 0 ? kNan : sum / count;
  };
  MergedHvg merged;
  for (std::size_t g = 0; g < n_genes; ++g) {
    merged.means.push_back(mean_present(g, &HvgResult::means));
    merged.dispersions.push_back(mean_present(g, &HvgResult::dispersions));
    merged.dispersions_norm.push_back(
        static_cast<float>(mean_present(g, &HvgResult::dispersions_norm)));
    const auto chosen = std::count_if(batches.begin(), batches.end(), [g](const HvgResult& batch) {
      return batch.highly_variable[g];
    });
    merged.n_batches.push_back(static_cast<std::int32_t>(chosen));
    merged.intersection.push_back(static_cast<std::size_t>(chosen) == batches.size());
  }
  return merged;
}

}  // namespace cellmill
