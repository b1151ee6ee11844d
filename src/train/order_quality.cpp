#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "cellmill/core/error.hpp"
#include "cellmill/train/quality.hpp"

namespace cellmill {
namespace {

std::vector<std::int64_t> rows_of_labels(const RowBlocks& rows, const ObsValues& labels) {
  if (labels.kind() != ObsValues::Kind::codes) {
    throw usage_error(
        fmt::format("obs['{}'] holds numbers, expected labels: text or categories", labels.name()));
  }
  std::vector<std::int64_t> counts(static_cast<std::size_t>(labels.levels().size()), 0);
  constexpr std::int64_t at_once = 65'536;
  std::vector<std::int64_t> some;
  std::vector<std::int64_t> codes;
  for (std::int64_t begin = 0; begin < rows.n_rows(); begin += at_once) {
    some.clear();
    for (std::int64_t i = begin; i < std::min(begin + at_once, rows.n_rows()); ++i) {
      some.push_back(rows.row(i));
    }
    codes.resize(some.size());
    labels.gather(some, codes);
    for (const std::int64_t code : codes) {
      if (code >= 0) ++counts[static_cast<std::size_t>(code)];
    }
  }
  return counts;
}

}  // namespace

QualityReport measure_order(const Order& order, const Schedule& schedule, std::int64_t epoch,
                            std::int64_t most_batches, const RowBlocks& rows,
                            const ObsValues* labels) {
  Quality quality(rows,
                  labels == nullptr ? std::vector<std::int64_t>() : rows_of_labels(rows, *labels));
  const bool has_labels = labels != nullptr && !labels->levels().empty();
  struct Open {
    std::int64_t index = -1;
    Window window;
  };
  std::map<int, Open> open;  // the window that each lane is in
  std::vector<std::int64_t> codes;
  for (std::int64_t step = 0; step < std::min(schedule.steps(), most_batches); ++step) {
    const Schedule::Place place = schedule.place(step);
    if (place.batch < 0) continue;
    Open& lane = open[place.lane];
    if (const std::int64_t index = place.batch / order.window_batches(); lane.index != index) {
      lane = {index, order.window(epoch, place.lane, index)};
    }
    const std::int64_t size = lane.window.batch_size;
    const auto all = static_cast<std::int64_t>(lane.window.rows.size());
    const std::int64_t begin = place.batch % order.window_batches() * size;
    // Of cells that come with a control each, the cells: controls are as random as they are.
    const std::int64_t measured = std::min(size, all - begin) / lane.window.parts;
    const auto batch =
        std::span(lane.window.rows)
            .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(measured));
    if (has_labels) {
      codes.resize(batch.size());
      labels->gather(batch, codes);
    }
    quality.add(batch, codes);
  }
  return quality.report();
}

}  // namespace cellmill
