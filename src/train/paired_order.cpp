#include "cellmill/train/paired_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/core/recent.hpp"
#include "cellmill/core/text.hpp"
#include "train/label_sequence.hpp"
#include "train/lanes.hpp"

namespace cellmill {
namespace {

std::int32_t label_of(const RowLabels& labels, std::int64_t row) {
  return labels.of_row[static_cast<std::size_t>(row)];
}

/// Every cell must have a control of its label.
void expect_controls(const ConditionRows& rows, const RowLabels& condition,
                     std::string_view control, const RowLabels& match) {
  const std::vector<std::int64_t> controls = count_labels(rows.controls, match);
  std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> without;  // cells
  std::int64_t unlabelled = 0;
  std::int64_t first = 0;
  for (std::int64_t at = 0; at < rows.cells.n_rows(); ++at) {
    const std::int64_t row = rows.cells.row(at);
    const std::int32_t label = label_of(match, row);
    if (label < 0) {
      if (unlabelled++ == 0) first = row;
    } else if (controls[static_cast<std::size_t>(label)] == 0) {
      ++without[{label_of(condition, row), label}];
    }
  }
  if (unlabelled > 0) {
    throw input_error(fmt::format(
        "paired: {} cells, e.g. row {}, have no {} to match; leave them out (rows, filter)",
        grouped(unlabelled), grouped(first), match.name));
  }
  if (without.empty()) return;
  const auto& [which, cells] = *without.begin();
  const std::string more =
      without.size() == 1 ? "" : fmt::format(", and {} combinations more", without.size() - 1);
  throw input_error(fmt::format(
      "paired: there is no control ({}='{}') for the {} cells of {}='{}' with {}{}; leave them out "
      "(rows, filter) or match fewer columns",
      condition.name, control, grouped(cells), condition.name,
      condition.levels[static_cast<std::size_t>(which.first)],
      match.levels[static_cast<std::size_t>(which.second)], more));
}

class PairedOrder final : public Order {
 public:
  PairedOrder(const ConditionRows& rows, const RowLabels& condition, std::string_view control,
              RowLabels match, std::int64_t window_rows, const OrderOptions& options)
      : cells_(make_shuffled_order(rows.cells, window_rows, options)),
        controls_(rows.controls),
        match_(std::move(match)),
        counts_(count_labels(controls_, match_)),
        options_(options) {
    expect_controls(rows, condition, control, match_);
    const std::vector<std::int64_t> cells = count_labels(rows.cells, match_);
    const std::vector<std::int64_t> with = blocks_with(controls_, match_.of_row, match_.count());
    for (std::size_t label = 0; label < counts_.size(); ++label) {
      repeats_.push_back(
          repeats_of(counts_[label], with[label], cells[label], controls_.block_rows()));
    }
    named_ = cells_->options();
    named_.front().second = "paired";
    named_.emplace_back("condition", condition.name);
    named_.emplace_back("control", fmt::format("{} ({:016x})", control, controls_.fingerprint()));
    named_.emplace_back(
        "match", fmt::format("{} ({:016x})", match_.name,
                             fingerprint(rows.cells, match_) ^ fingerprint(controls_, match_)));
  }

  [[nodiscard]] int lanes() const override { return cells_->lanes(); }
  [[nodiscard]] std::int64_t lane_batches() const override { return cells_->lane_batches(); }
  [[nodiscard]] std::int64_t window_batches() const override { return cells_->window_batches(); }

  [[nodiscard]] Window window(std::int64_t epoch, int lane, std::int64_t index) const override {
    Window window = cells_->window(epoch, lane, index);
    const std::vector<std::int64_t> controls = controls_of(
        window.rows, epoch,
        {CounterRng(options_.seed, 8).bits(static_cast<std::uint64_t>(epoch)),
         CounterRng(static_cast<std::uint64_t>(lane), 9).bits(static_cast<std::uint64_t>(index))});
    std::vector<std::int64_t> rows;
    rows.reserve(2 * window.rows.size());
    const auto size = static_cast<std::ptrdiff_t>(window.batch_size);
    const auto all = static_cast<std::ptrdiff_t>(window.rows.size());
    for (std::ptrdiff_t begin = 0; begin < all; begin += size) {
      const std::ptrdiff_t end = std::min(begin + size, all);
      rows.insert(rows.end(), window.rows.begin() + begin, window.rows.begin() + end);
      rows.insert(rows.end(), controls.begin() + begin, controls.begin() + end);
    }
    window.rows = std::move(rows);
    window.batch_size *= 2;
    window.parts = 2;
    return window;
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> options() const override {
    return named_;
  }
  [[nodiscard]] std::int64_t bytes() const override {
    return cells_->bytes() + controls_.bytes() + match_.bytes() +
           LabelSequence::bytes(controls_, match_.count());
  }

 private:
  /// A control for each of some cells; −1 for −1.
  [[nodiscard]] std::vector<std::int64_t> controls_of(const std::vector<std::int64_t>& cells,
                                                      std::int64_t epoch,
                                                      const CounterRng& rng) const {
    std::vector<std::int64_t> needed(counts_.size(), 0);
    for (const std::int64_t cell : cells) {
      if (cell >= 0) ++needed[static_cast<std::size_t>(label_of(match_, cell))];
    }
    // From one place of the sequence for all labels, so that they are found in the same blocks.
    const double place = rng.uniform(0);
    std::vector<Range> wanted(counts_.size());
    for (std::size_t label = 0; label < counts_.size(); ++label) {
      const auto begin = static_cast<std::int64_t>(place * static_cast<double>(counts_[label]));
      const std::int64_t times = repeats_[label];
      wanted[label] = {begin, begin + (needed[label] + times - 1) / times};
    }
    const std::vector<std::vector<std::int64_t>> found = sequence_of(epoch)->rows(wanted);
    std::vector<std::vector<std::int64_t>> left(found.size());  // taken from the end
    for (std::size_t label = 0; label < found.size(); ++label) {
      for (std::int64_t i = 0; i < needed[label]; ++i) {
        left[label].push_back(found[label][static_cast<std::size_t>(i / repeats_[label])]);
      }
      permute(left[label], {rng.bits(1), label});
    }
    std::vector<std::int64_t> controls;
    controls.reserve(cells.size());
    for (const std::int64_t cell : cells) {
      if (cell < 0) {
        controls.push_back(-1);
        continue;
      }
      std::vector<std::int64_t>& of = left[static_cast<std::size_t>(label_of(match_, cell))];
      controls.push_back(of.back());
      of.pop_back();
    }
    return controls;
  }

  [[nodiscard]] std::shared_ptr<const LabelSequence> sequence_of(std::int64_t epoch) const {
    if (auto known = epochs_.find(epoch)) return *known;
    auto made = std::make_shared<const LabelSequence>(controls_, match_.of_row, match_.count(),
                                                      CounterRng(options_.seed, 7).bits(0),
                                                      static_cast<std::uint64_t>(epoch));
    epochs_.add(epoch, made, 1);
    return made;
  }

  std::unique_ptr<Order> cells_;
  RowBlocks controls_;
  RowLabels match_;
  std::vector<std::int64_t> counts_;   ///< controls of each label
  std::vector<std::int64_t> repeats_;  ///< of each control of a label, one after the other
  OrderOptions options_;
  std::vector<std::pair<std::string, std::string>> named_;
  mutable Recent<LabelSequence> epochs_{2};
};

}  // namespace

ConditionRows split_conditions(const RowBlocks& rows, const RowLabels& condition,
                               std::string_view control) {
  const auto found = std::find(condition.levels.begin(), condition.levels.end(), control);
  if (found == condition.levels.end()) {
    std::string nearest;
    for (const std::string& name : nearest_names(control, condition.levels)) {
      nearest += fmt::format("{}'{}'", nearest.empty() ? "" : ", ", name);
    }
    throw input_error(fmt::format("paired: obs['{}'] has no '{}'; nearest: {}", condition.name,
                                  control, nearest.empty() ? "none" : nearest));
  }
  const auto code = static_cast<std::int32_t>(found - condition.levels.begin());
  std::vector<std::int64_t> cells;
  std::vector<std::int64_t> controls;
  for (std::int64_t at = 0; at < rows.n_rows(); ++at) {
    const std::int64_t row = rows.row(at);
    const std::int32_t label = label_of(condition, row);
    if (label >= 0) (label == code ? controls : cells).push_back(row);
  }
  if (controls.empty() || cells.empty()) {
    throw input_error(fmt::format(
        "paired: of the {} rows in use {} a control (obs['{}']='{}')", grouped(rows.n_rows()),
        controls.empty() ? "none is" : "each with a condition is", condition.name, control));
  }
  return {rows.subset(std::move(cells)), rows.subset(std::move(controls))};
}

std::unique_ptr<Order> make_paired_order(const ConditionRows& rows, const RowLabels& condition,
                                         std::string_view control, RowLabels match,
                                         std::int64_t window_rows, const OrderOptions& options) {
  return std::make_unique<PairedOrder>(rows, condition, control, std::move(match), window_rows,
                                       options);
}

}  // namespace cellmill
