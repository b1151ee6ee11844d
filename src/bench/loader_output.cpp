#include "bench/loader_output.hpp"

#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/train/vocabulary.hpp"

namespace cellmill {
namespace {

/// The one that is given; otherwise all genes of the data, with medians that are made up: from 0.5
/// to 8, because equal ones would be another work to sort.
std::shared_ptr<const Vocabulary> vocabulary_of(const Dataset& data,
                                                const LoaderBenchOptions& options) {
  if (options.vocabulary) {
    return std::make_shared<const Vocabulary>(read_vocabulary(*options.vocabulary));
  }
  Vocabulary made;
  made.names = data.genes().names;
  made.ids.resize(made.names.size());
  std::iota(made.ids.begin(), made.ids.end(), 0);
  const CounterRng rng(0, 0);
  for (std::size_t i = 0; i < made.names.size(); ++i) {
    made.medians.push_back(std::exp2(4 * rng.uniform(i) - 1));
  }
  return std::make_shared<const Vocabulary>(std::move(made));
}

}  // namespace

ReadOptions bench_output(const Dataset& data, const LoaderBenchOptions& options,
                         const std::string& output) {
  ReadOptions read = options.read;
  read.layout = output == "dense" ? BatchLayout::dense : BatchLayout::csr;
  if (output == "csr" || output == "dense") return read;
  read.join = GeneJoin::outer;
  if (output == "geneformer") {
    read.tokens = GeneformerOptions{vocabulary_of(data, options), 1, {}, {}};
  } else if (output == "scgpt") {
    ScGptOptions tokens;
    tokens.vocabulary = vocabulary_of(data, options);
    read.tokens = tokens;
    read.transform = {1e4, true};
  } else if (output == "rank_value") {
    RankValueOptions tokens;
    if (options.vocabulary) tokens.vocabulary = vocabulary_of(data, options);
    read.tokens = tokens;
  } else {
    throw usage_error("output: '" + output +
                      "' found, expected csr, dense, geneformer, scgpt or rank_value");
  }
  return read;
}

}  // namespace cellmill
