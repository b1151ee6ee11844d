// R's prcomp of the raw counts of 178 genes of pbmc3k, as TileDB-SOMA publishes it: our moments,
// Gram matrix, solver and projection against numbers that nobody here computed.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/run_passes.hpp"
#include "cellmill/anndata/anndata.hpp"
#include "cellmill/compute/backend.hpp"
#include "cellmill/compute/eigen.hpp"
#include "cellmill/stream/transforms.hpp"
#include "shared_data.hpp"

namespace cellmill {
namespace {

constexpr std::int64_t n_components = 50;
constexpr std::int64_t n_exact = 42;  // R's own later components are good to 1e-9 only up to here

struct Scores {
  std::vector<std::string> cells;
  std::vector<std::vector<double>> of_cell;
};

Scores read_scores(const std::filesystem::path& path) {
  std::ifstream file(path);
  Scores scores;
  std::string line;
  std::getline(file, line);
  while (std::getline(file, line)) {
    std::stringstream fields(line);
    std::string field;
    std::getline(fields, field, ',');
    scores.cells.push_back(field);
    scores.of_cell.emplace_back();
    while (std::getline(fields, field, ','))
      scores.of_cell.back().push_back(std::strtod(field.c_str(), nullptr));
  }
  return scores;
}

/// Raw counts of the named cells and genes, in their order.
CsrChunk counts_of(const AnnData& data, const std::vector<std::string>& genes,
                   const std::vector<std::string>& cells) {
  std::unordered_map<std::string, std::int32_t> place;
  for (std::size_t i = 0; i < genes.size(); ++i)
    place.emplace(genes[i], static_cast<std::int32_t>(i));
  const Strings names = data.var().index({0, data.n_vars()});
  std::vector<std::int32_t> slot(static_cast<std::size_t>(data.n_vars()), -1);
  for (std::int64_t g = 0; g < names.size(); ++g) {
    if (const auto at = place.find(std::string(names[g])); at != place.end())
      slot[static_cast<std::size_t>(g)] = at->second;
  }
  CsrChunk all;
  data.x().decode(data.x().fetch({0, data.n_obs()}), all);
  select_columns(all, slot, static_cast<std::int32_t>(genes.size()));

  std::unordered_map<std::string, std::int64_t> row;
  const Strings barcodes = data.obs().index({0, data.n_obs()});
  for (std::int64_t i = 0; i < barcodes.size(); ++i)
    row.emplace(barcodes[i].substr(0, barcodes[i].find('-')), i);
  CsrChunk some;
  some.n_cols = all.n_cols;
  some.indptr = {0};
  for (const std::string& cell : cells) {
    const auto at = static_cast<std::size_t>(row.at(cell));
    some.indices.insert(some.indices.end(), all.indices.begin() + all.indptr[at],
                        all.indices.begin() + all.indptr[at + 1]);
    some.values.insert(some.values.end(), all.values.begin() + all.indptr[at],
                       all.values.begin() + all.indptr[at + 1]);
    some.indptr.push_back(static_cast<std::int64_t>(some.indices.size()));
  }
  return some;
}

TEST(PcaOfR, VariancesAndScoresAgree) {
  CELLMILL_SHARED_FILE(counts_path, "pbmc3k/pbmc3k_raw.h5ad");
  CELLMILL_SHARED_FILE(scores_path, "pbmc3k/pca_raw_178_genes.csv");
  CELLMILL_SHARED_FILE(genes_path, "pbmc3k/pca_genes.txt");
  std::vector<std::string> genes;
  std::ifstream genes_file(genes_path);
  for (std::string gene; std::getline(genes_file, gene);) genes.push_back(gene);
  ASSERT_EQ(genes.size(), 178U);
  const Scores r = read_scores(scores_path);
  ASSERT_EQ(r.cells.size(), 2526U);
  const auto data = AnnData::open(counts_path);
  const CsrChunk counts = counts_of(*data, genes, r.cells);
  const std::int64_t n = counts.n_rows();

  GramOptions options;
  options.n_cells = n;
  options.max_abs.assign(genes.size(), 0.0);
  options.shift.assign(genes.size(), 0.0);
  options.density.assign(genes.size(), 0.0);
  for (std::size_t k = 0; k < counts.values.size(); ++k) {
    const auto gene = static_cast<std::size_t>(counts.indices[k]);
    options.max_abs[gene] = std::max<double>(options.max_abs[gene], counts.values[k]);
    options.shift[gene] += counts.values[k] / static_cast<double>(n);
    options.density[gene] += 1.0 / static_cast<double>(n);
  }
  const auto gram = backend_for_gram(n)->make_gram(options);
  for (std::int64_t row = 0; row < n; row += 2000) {
    const auto begin = static_cast<std::size_t>(row);
    const auto rows = static_cast<std::size_t>(std::min<std::int64_t>(2000, n - row));
    const auto first = static_cast<std::size_t>(counts.indptr[begin]);
    const auto size = static_cast<std::size_t>(counts.indptr[begin + rows]) - first;
    gram->add({std::span(counts.indptr).subspan(begin, rows + 1),
               std::span(counts.indices).subspan(first, size),
               std::span(counts.values).subspan(first, size), counts.n_cols});
  }
  GramAccumulator::Covariance covariance = gram->covariance(n);
  const auto n_genes = static_cast<std::int64_t>(genes.size());
  const EigenPairs pairs = largest_eigenpairs(covariance.matrix, n_genes, n_components);

  std::vector<double> offset(n_components, 0.0);
  for (std::int64_t g = 0; g < n_genes; ++g) {
    for (std::int64_t c = 0; c < n_components; ++c) {
      offset[static_cast<std::size_t>(c)] +=
          covariance.means[static_cast<std::size_t>(g)] *
          pairs.vectors[static_cast<std::size_t>(g * n_components + c)];
    }
  }
  std::vector<float> projected(static_cast<std::size_t>(n * n_components));
  make_cpu_backend()
      ->make_projector(pairs.vectors, counts.n_cols, n_components, offset)
      ->project({counts.indptr, counts.indices, counts.values, counts.n_cols}, projected);

  for (std::int64_t c = 0; c < n_exact; ++c) {
    const auto component = static_cast<std::size_t>(c);
    double sum = 0;
    double squares = 0;
    double dot = 0;
    for (std::size_t i = 0; i < r.of_cell.size(); ++i) {
      const double score = r.of_cell[i][component];
      sum += score;
      squares += score * score;
      dot += score * projected[i * n_components + component];
    }
    const double variance =
        (squares - sum * sum / static_cast<double>(n)) / static_cast<double>(n - 1);
    EXPECT_NEAR(pairs.values[component] / variance, 1.0, 1e-6) << "component " << c + 1;
    const double sign = dot < 0 ? -1 : 1;
    for (std::size_t i = 0; i < r.of_cell.size(); ++i) {
      ASSERT_NEAR(sign * projected[i * n_components + component], r.of_cell[i][component],
                  1e-3 * std::sqrt(variance))
          << "component " << c + 1 << ", cell " << i;
    }
  }
}

}  // namespace
}  // namespace cellmill
