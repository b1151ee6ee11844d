#pragma once

#include <string>

#include "cellmill/bench/loader.hpp"

namespace cellmill {

/// What batches hold for an output's name: csr, dense, or the tokens of geneformer, scgpt (of
/// counts normalised to 10,000 and log-transformed) or rank_value, each with its defaults.
/// \throws Error(usage) for another name, and as reading the vocabulary does
[[nodiscard]] ReadOptions bench_output(const Dataset& data, const LoaderBenchOptions& options,
                                       const std::string& output);

}  // namespace cellmill
