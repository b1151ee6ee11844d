#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "cellmill/core/ranges.hpp"

namespace cellmill {

/// Which label the rows of an epoch have, place by place: computed, not held.
class LabelPlan {
 public:
  LabelPlan() = default;
  LabelPlan(const LabelPlan&) = delete;
  LabelPlan& operator=(const LabelPlan&) = delete;
  virtual ~LabelPlan() = default;

  /// Which row of each label, by number, comes first where places are read from this one on.
  [[nodiscard]] virtual std::vector<std::int64_t> first_rows(std::int64_t place) const = 0;
  /// The label of each of some places.
  [[nodiscard]] virtual std::vector<std::int32_t> labels(Range places) const = 0;
};

/// All labels in turn, so that any run of places has equally many of each, to within one. The rows
/// that come first are as far through each label's rows as the place is through the epoch, so that
/// labels that lie mixed are found in the same blocks, frequent or rare.
[[nodiscard]] std::unique_ptr<LabelPlan> make_even_plan(std::vector<std::int64_t> rows_of_labels,
                                                        std::int64_t n_places, std::uint64_t seed,
                                                        std::uint64_t epoch);

/// Each label as often as it has rows, spread evenly: its c-th row comes at time (c + phase) / n of
/// an epoch, where n are its rows and the phase is drawn in (0, 1]. In a stretch of time there are
/// as many of each label as its share says, to within one; in a run of B places, whose stretch the
/// others' roundings move a little, to within 1 + p·K for a share p of K labels, mostly far less.
/// All rows come once: those that come first are those after the rows of the places before.
[[nodiscard]] std::unique_ptr<LabelPlan> make_proportional_plan(
    std::vector<std::int64_t> rows_of_labels, std::uint64_t seed, std::uint64_t epoch);

}  // namespace cellmill
