#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cellmill/core/parallel.hpp"

namespace cellmill {

struct ReadBenchOptions {
  std::vector<std::filesystem::path> files;
  double warmup = 0;   ///< seconds of reading before anything counts; one whole reading at least
  double seconds = 2;  ///< about, of reading that counts
  std::int64_t memory = 0;         ///< bytes; 0: 70% of what there is
  std::string python = "python3";  ///< for the peers; empty: none
};

/// Reading all of X, row by row, against the machine's limit: the same chunks decoded out of memory
/// on all threads.
struct ReadBench {
  std::int64_t cells = 0;
  std::int64_t nonzeros = 0;
  std::int64_t stored_bytes = 0;
  std::int64_t decoded_bytes = 0;
  double seconds = 0;            ///< of the best reading
  double limit_seconds = 0;      ///< of decoding as much at the codec's rate
  double processor_seconds = 0;  ///< of all threads together, the least of any reading: what others
                                 ///< take of a busy machine is not in it
  double limit_processor_seconds = 0;
  std::int64_t peak_memory = 0;
  std::string codec;                    ///< of X's values
  std::map<std::string, double> peers;  ///< seconds for the same, of what Python has
};

/// \throws Error(input) for X that is not CSR: there is no limit to hold its sorting against
[[nodiscard]] ReadBench bench_read(const ReadBenchOptions& options, Arena& arena);

[[nodiscard]] std::string read_text(const ReadBench& bench);
[[nodiscard]] nlohmann::json read_json(const ReadBench& bench);

}  // namespace cellmill
