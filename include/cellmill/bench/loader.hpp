#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cellmill/train/loader.hpp"

namespace cellmill {

struct LoaderBenchOptions {
  std::vector<std::filesystem::path> files;
  std::vector<std::int64_t> batch_sizes = {64, 4096};
  std::int64_t block = 64;
  std::int64_t window = 65'536;
  std::string order = "shuffle";    ///< or weighted, balanced, stratified, paired
  std::string by = "cell_line";     ///< column of labels: weighted equally, balanced …, matched
  std::string condition = "drug";   ///< paired: column of conditions
  std::string control = "DMSO_TF";  ///< paired: the condition that controls have
  /// csr, dense, geneformer, scgpt, rank_value: each is measured, and CSR first where there are
  /// others, for what they cost beside it.
  std::vector<std::string> outputs = {"csr"};
  std::optional<std::filesystem::path> vocabulary;  ///< of tokens; none: all genes
  double warmup = 1;   ///< seconds of batches before anything counts, for each batch size
  double seconds = 3;  ///< of batches that count
  ReadOptions read;    ///< what a batch holds, but for its output
};

/// Batches as fast as they come, with nobody training.
struct LoaderBench {
  struct Run {
    std::string output;
    std::int64_t batch_size = 0;
    std::int64_t cells = 0;
    std::int64_t nonzeros = 0;
    std::int64_t tokens = 0;  ///< without padding
    double seconds = 0;
    double processor_seconds = 0;
    double first_batch_seconds = 0;  ///< from opening the files
    double rows_read_ratio = 0;      ///< rows fetched, over rows handed out
    std::int64_t bytes_fetched = 0;  ///< encoded, while it counted
    std::int64_t peak_memory = 0;    ///< of the process
    double ratio_to_csr = 1;         ///< of cells a second, to those of CSR in as large batches
  };
  std::vector<Run> runs;
  std::string order;
  std::int64_t cells = 0;             ///< in the files
  double limit_cells_per_second = 0;  ///< writing CSR batches of as many values, all threads
};

[[nodiscard]] LoaderBench bench_loader(const LoaderBenchOptions& options);
[[nodiscard]] std::string loader_text(const LoaderBench& bench);
[[nodiscard]] nlohmann::json loader_json(const LoaderBench& bench);

}  // namespace cellmill
