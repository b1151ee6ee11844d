#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cellmill/analysis/run.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

/// Passes in the order they ran, each as the slowest rank and the sums over ranks.
struct PassTotal {
  std::string pass;
  double seconds = 0;
  std::int64_t cells = 0;
  std::int64_t bytes = 0;
};

std::vector<PassTotal> pass_totals(const RunSummary& summary) {
  std::vector<PassTotal> totals;
  for (const RunSummary::Timing& timing : summary.timeline) {
    auto at = std::find_if(totals.begin(), totals.end(),
                           [&](const PassTotal& t) { return t.pass == timing.pass; });
    if (at == totals.end()) at = totals.insert(totals.end(), {timing.pass, 0, 0, 0});
    at->seconds = std::max(at->seconds, timing.seconds);
    at->cells += timing.cells;
    at->bytes += timing.bytes;
  }
  return totals;
}

std::int64_t rate(std::int64_t cells, double seconds) {
  return seconds > 0 ? static_cast<std::int64_t>(static_cast<double>(cells) / seconds) : 0;
}

/// The rank that lost most to waiting for others and exchanging sums, and where; nothing for one
/// rank.
std::string between_ranks(const RunSummary& summary) {
  if (summary.peak_memory.size() < 2) return {};
  std::map<int, double> of_rank;
  for (const RunSummary::Timing& timing : summary.timeline) {
    of_rank[timing.rank] += timing.communicating;
  }
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  const auto worst = std::max_element(of_rank.begin(), of_rank.end(), less);
  std::string text = fmt::format("\nbetween ranks: at most {} waiting and communicating (rank {})",
                                 human_seconds(worst->second), worst->first);
  const auto cost = [](const RunSummary::Exchange& e) { return e.waiting + e.moving; };
  const auto dearest =
      std::max_element(summary.exchanges.begin(), summary.exchanges.end(),
                       [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
  if (dearest != summary.exchanges.end()) {
    text += fmt::format(", for {} ({}) at most {} (rank {})", dearest->what,
                        human_bytes(dearest->bytes), human_seconds(cost(*dearest)), dearest->rank);
  }
  return text;
}

}  // namespace

std::string summary_text(const RunSummary& summary) {
  if (summary.timeline.empty()) {
    return fmt::format("{}: is there already, of the same inputs and options\n",
                       summary.output.string());
  }
  std::string text;
  std::size_t width = 5;
  for (const RunSummary::Plate& plate : summary.plates) width = std::max(width, plate.name.size());
  text += fmt::format("{:<{}}  {:>13} {:>13} {:>12} {:>12}\n", "plate", width, "cells read",
                      "cells kept", "with counts", "genes chosen");
  for (const RunSummary::Plate& plate : summary.plates) {
    text += fmt::format("{:<{}}  {:>13} {:>13} {:>12} {:>12}\n", plate.name, width,
                        grouped(plate.cells_read), grouped(plate.cells_kept),
                        grouped(plate.genes_with_counts), grouped(plate.genes_chosen));
  }
  text += fmt::format("\n{:<24} {:>9} {:>14} {:>10}\n", "pass", "seconds", "cells/s", "read");
  for (const PassTotal& total : pass_totals(summary)) {
    text += fmt::format("{:<24} {:>9.2f} {:>14} {:>10}\n", total.pass, total.seconds,
                        total.cells > 0 ? grouped(rate(total.cells, total.seconds)) : "",
                        total.bytes > 0 ? human_bytes(total.bytes) : "");
  }
  text +=
      fmt::format("\n{} cells x {} genes, {} components in {} ({} cells/s)\npeak memory:",
                  grouped(summary.n_cells), grouped(summary.n_genes), summary.n_comps,
                  human_seconds(summary.seconds), grouped(rate(summary.n_cells, summary.seconds)));
  for (std::size_t rank = 0; rank < summary.peak_memory.size(); ++rank) {
    text += fmt::format("{} rank {} {}", rank == 0 ? "" : ",", rank,
                        human_bytes(summary.peak_memory[rank]));
  }
  text += between_ranks(summary);
  text += fmt::format("\nwritten: {}\n", summary.output.string());
  return text;
}

nlohmann::json summary_json(const RunSummary& summary) {
  nlohmann::json json = {{"cells", summary.n_cells},
                         {"genes", summary.n_genes},
                         {"components", summary.n_comps},
                         {"seconds", summary.seconds},
                         {"cells_per_second", rate(summary.n_cells, summary.seconds)},
                         {"resumed_cells", summary.resumed_cells},
                         {"peak_memory_bytes", summary.peak_memory},
                         {"output", summary.output.string()},
                         {"plates", nlohmann::json::array()},
                         {"passes", nlohmann::json::array()},
                         {"timeline", nlohmann::json::array()},
                         {"exchanges", nlohmann::json::array()}};
  for (const RunSummary::Plate& plate : summary.plates) {
    json["plates"].push_back({{"name", plate.name},
                              {"cells_read", plate.cells_read},
                              {"cells_kept", plate.cells_kept},
                              {"genes_with_counts", plate.genes_with_counts},
                              {"genes_chosen", plate.genes_chosen}});
  }
  for (const PassTotal& total : pass_totals(summary)) {
    json["passes"].push_back({{"name", total.pass},
                              {"seconds", total.seconds},
                              {"cells", total.cells},
                              {"bytes", total.bytes}});
  }
  for (const RunSummary::Timing& t : summary.timeline) {
    json["timeline"].push_back({{"rank", t.rank},
                                {"pass", t.pass},
                                {"seconds", t.seconds},
                                {"reading", t.reading},
                                {"decoding", t.decoding},
                                {"computing", t.computing},
                                {"waiting", t.waiting},
                                {"writing", t.writing},
                                {"communicating", t.communicating},
                                {"bytes", t.bytes},
                                {"cells", t.cells}});
  }
  for (const RunSummary::Exchange& e : summary.exchanges) {
    json["exchanges"].push_back({{"rank", e.rank},
                                 {"what", e.what},
                                 {"bytes", e.bytes},
                                 {"waiting", e.waiting},
                                 {"moving", e.moving}});
  }
  return json;
}

std::string estimate_text(const RunEstimate& estimate) {
  std::string text;
  for (const RunSummary::Plate& plate : estimate.plates) {
    text += fmt::format("{}: {} cells\n", plate.name, grouped(plate.cells_read));
  }
  text += fmt::format(
      "cells: {}\ngenes: {}\nnon-zeros: {}\nto read: {}\nmemory a rank: at least {}\nscratch: "
      "{}\noutput: about {}\n"
      "time: about {} (from typical rates; the disk is not known)\n",
      grouped(estimate.n_cells), grouped(estimate.n_genes), grouped(estimate.nnz),
      human_bytes(estimate.bytes_to_read), human_bytes(estimate.memory),
      human_bytes(estimate.scratch), human_bytes(estimate.output), human_seconds(estimate.seconds));
  return text;
}

nlohmann::json estimate_json(const RunEstimate& estimate) {
  nlohmann::json json = {
      {"cells", estimate.n_cells},        {"genes", estimate.n_genes},
      {"nonzeros", estimate.nnz},         {"bytes_to_read", estimate.bytes_to_read},
      {"memory_bytes", estimate.memory},  {"scratch_bytes", estimate.scratch},
      {"output_bytes", estimate.output},  {"seconds", estimate.seconds},
      {"plates", nlohmann::json::array()}};
  for (const RunSummary::Plate& plate : estimate.plates) {
    json["plates"].push_back({{"name", plate.name}, {"cells_read", plate.cells_read}});
  }
  return json;
}

}  // namespace cellmill
