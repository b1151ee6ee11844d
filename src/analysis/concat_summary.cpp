#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cellmill/analysis/concat.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {

std::string summary_text(const ConcatSummary& summary) {
  std::string text;
  std::size_t width = 5;
  for (const auto& plate : summary.plates) width = std::max(width, plate.name.size());
  text += fmt::format("{:<{}}  {:>13}\n", "plate", width, "cells");
  for (const auto& plate : summary.plates) {
    text += fmt::format("{:<{}}  {:>13}\n", plate.name, width, grouped(plate.n_cells));
  }
  text += '\n';
  for (const auto& matrix : summary.matrices) {
    text += fmt::format("{}: {} of {}, {} columns, {} values\n", matrix.name, matrix.encoding,
                        matrix.dtype, grouped(matrix.n_cols), grouped(matrix.stored));
  }
  text += fmt::format("{} cells x {} genes in {}\npeak memory:", grouped(summary.n_cells),
                      grouped(summary.n_genes), human_seconds(summary.seconds));
  for (std::size_t rank = 0; rank < summary.peak_memory.size(); ++rank) {
    text += fmt::format("{} rank {} {}", rank == 0 ? "" : ",", rank,
                        human_bytes(summary.peak_memory[rank]));
  }
  return text + fmt::format("\nwritten: {}\n", summary.output.string());
}

nlohmann::json summary_json(const ConcatSummary& summary) {
  nlohmann::json json = {
      {"cells", summary.n_cells},          {"genes", summary.n_genes},
      {"seconds", summary.seconds},        {"peak_memory_bytes", summary.peak_memory},
      {"left_out", summary.left_out},      {"output", summary.output.string()},
      {"plates", nlohmann::json::array()}, {"matrices", nlohmann::json::array()}};
  for (const auto& plate : summary.plates) {
    json["plates"].push_back({{"name", plate.name}, {"cells", plate.n_cells}});
  }
  for (const auto& matrix : summary.matrices) {
    json["matrices"].push_back({{"name", matrix.name},
                                {"encoding", matrix.encoding},
                                {"dtype", matrix.dtype},
                                {"columns", matrix.n_cols},
                                {"stored", matrix.stored}});
  }
  return json;
}

}  // namespace cellmill
