#include "cellmill/train/row_labels.hpp"

#include <fmt/format.h>

#include <unordered_map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "train/row_runs.hpp"

namespace cellmill {
namespace {

/// Calls body(row, code) for all rows of a column of labels.
template <class Body>
void for_codes(const ObsValues& column, Body&& body) {
  if (column.kind() != ObsValues::Kind::codes) {
    throw usage_error(
        fmt::format("obs['{}'] holds numbers, expected labels: text or categories", column.name()));
  }
  std::vector<std::int64_t> codes;
  for_row_runs(column.size(), [&](std::span<const std::int64_t> rows) {
    codes.resize(rows.size());
    column.gather(rows, codes);
    for (std::size_t i = 0; i < rows.size(); ++i) body(static_cast<std::size_t>(rows[i]), codes[i]);
  });
}

}  // namespace

RowLabels labels_of(const ObsValues& column) {
  RowLabels labels{column.name(), column.levels().to_vector(),
                   std::vector<std::int32_t>(static_cast<std::size_t>(column.size()))};
  for_codes(column, [&](std::size_t row, std::int64_t code) {
    labels.of_row[row] = static_cast<std::int32_t>(code);
  });
  return labels;
}

RowLabels combined_labels(std::span<const ObsValues* const> columns, std::int64_t n_rows) {
  RowLabels labels{"", {"all rows"}, std::vector<std::int32_t>(static_cast<std::size_t>(n_rows))};
  for (const ObsValues* column : columns) {
    std::unordered_map<std::int64_t, std::int32_t> label_of;  // of both labels
    std::vector<std::string> levels;
    for_codes(*column, [&](std::size_t row, std::int64_t code) {
      std::int32_t& label = labels.of_row[row];
      if (label < 0 || code < 0) {
        label = -1;
        return;
      }
      const std::int64_t both = label * column->levels().size() + code;
      const auto [found, is_new] =
          label_of.try_emplace(both, static_cast<std::int32_t>(levels.size()));
      if (is_new) {
        levels.push_back(fmt::format(
            "{}{}='{}'",
            labels.name.empty() ? "" : labels.levels[static_cast<std::size_t>(label)] + ", ",
            column->name(), column->levels()[code]));
      }
      label = found->second;
    });
    labels.name += (labels.name.empty() ? "" : ", ") + column->name();
    labels.levels = std::move(levels);
  }
  return labels;
}

std::vector<std::int64_t> count_labels(const RowBlocks& rows, const RowLabels& labels) {
  std::vector<std::int64_t> counts(labels.levels.size(), 0);
  for (std::int64_t at = 0; at < rows.n_rows(); ++at) {
    const std::int32_t label = labels.of_row[static_cast<std::size_t>(rows.row(at))];
    if (label >= 0) ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

std::uint64_t fingerprint(const RowBlocks& rows, const RowLabels& labels) {
  std::uint64_t print = 0;
  for (std::int64_t at = 0; at < rows.n_rows(); ++at) {
    const std::int32_t label = labels.of_row[static_cast<std::size_t>(rows.row(at))];
    print = CounterRng(print, 0).bits(static_cast<std::uint64_t>(std::int64_t{label} + 1));
  }
  return print;
}

}  // namespace cellmill
