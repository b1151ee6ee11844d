#include "cellmill/train/row_weights.hpp"

#include <fmt/format.h>

#include <utility>

#include "cellmill/core/error.hpp"
#include "train/row_runs.hpp"

namespace cellmill {

RowWeights::RowWeights(std::vector<double> weights) {
  own_bytes_ = static_cast<std::int64_t>(weights.size() * sizeof(double));
  auto held = std::make_shared<const std::vector<double>>(std::move(weights));
  weights_ = std::span<const double>(*held);
  owner_ = std::move(held);
}

std::int64_t RowWeights::size() const {
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); },
                    weights_);
}

RowWeights weights_of(const ObsValues& column) {
  if (column.kind() == ObsValues::Kind::codes) {
    throw usage_error(
        fmt::format("weights: obs['{}'] holds labels, expected numbers", column.name()));
  }
  std::vector<double> weights(static_cast<std::size_t>(column.size()));
  for_row_runs(column.size(), [&](std::span<const std::int64_t> rows) {
    column.gather(rows,
                  std::span(weights).subspan(static_cast<std::size_t>(rows.front()), rows.size()));
  });
  return RowWeights(std::move(weights));
}

std::vector<double> label_weights(const ObsValues& labels, std::span<const std::int64_t> rows) {
  if (labels.kind() != ObsValues::Kind::codes) {
    throw usage_error(
        fmt::format("obs['{}'] holds numbers, expected labels: text or categories", labels.name()));
  }
  std::vector<std::int64_t> codes(rows.size());
  labels.gather(rows, codes);
  std::vector<double> count(static_cast<std::size_t>(labels.levels().size()), 0);
  double labelled = 0;
  for (const std::int64_t code : codes) {
    if (code < 0) continue;
    ++count[static_cast<std::size_t>(code)];
    ++labelled;
  }
  if (labelled == 0) {
    throw input_error(
        fmt::format("obs['{}']: none of the {} rows has a label", labels.name(), rows.size()));
  }
  std::vector<double> weights(static_cast<std::size_t>(labels.size()), 0);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (codes[i] < 0) continue;
    weights[static_cast<std::size_t>(rows[i])] =
        labelled / count[static_cast<std::size_t>(codes[i])];
  }
  return weights;
}

}  // namespace cellmill
