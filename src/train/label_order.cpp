#include "cellmill/train/label_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/recent.hpp"
#include "train/label_plan.hpp"
#include "train/label_sequence.hpp"
#include "train/lanes.hpp"

namespace cellmill {
namespace {

enum class Kind { balanced, stratified };

RowLabels expect_all_labels(const RowBlocks& rows, RowLabels labels) {
  if (labels.levels.empty()) {
    throw input_error(fmt::format("balanced: obs['{}'] has no label", labels.name));
  }
  const std::vector<std::int64_t> counts = count_labels(rows, labels);
  std::int64_t without = 0;
  std::string first;
  for (std::size_t label = 0; label < counts.size(); ++label) {
    if (counts[label] > 0) continue;
    if (without++ == 0) first = labels.levels[label];
  }
  if (without > 0) {
    throw input_error(
        fmt::format("balanced: {} of the {} labels of obs['{}'], e.g. '{}', have no cell among the "
                    "rows in use; "
                    "name the labels to balance (levels)",
                    without, counts.size(), labels.name, first));
  }
  return labels;
}

RowLabels with_unlabelled(RowLabels labels) {
  const auto none = static_cast<std::int32_t>(labels.levels.size());
  labels.levels.emplace_back();
  for (std::int32_t& label : labels.of_row) {
    if (label < 0) label = none;
  }
  return labels;
}

class LabelOrder final : public Order {
 public:
  LabelOrder(Kind kind, RowBlocks blocks, RowLabels labels, std::int64_t window_rows,
             const OrderOptions& options)
      : kind_(kind),
        blocks_(std::move(blocks)),
        lanes_(blocks_.n_rows(), options),
        window_rows_(window_rows),
        window_batches_(lanes_.window_batches(window_rows)),
        labels_(kind == Kind::balanced ? expect_all_labels(blocks_, std::move(labels))
                                       : with_unlabelled(std::move(labels))),
        rows_(count_labels(blocks_, labels_)),
        repeats_(rows_.size(), 1),
        fingerprint_(fingerprint(blocks_, labels_)) {
    if (kind != Kind::balanced) return;
    const std::vector<std::int64_t> with = blocks_with(blocks_, labels_.of_row, labels_.count());
    for (std::size_t label = 0; label < rows_.size(); ++label) {
      repeats_[label] = repeats_of(rows_[label], with[label], blocks_.n_rows() / labels_.count(),
                                   blocks_.block_rows());
    }
  }

  [[nodiscard]] int lanes() const override { return lanes_.options.lanes; }
  [[nodiscard]] std::int64_t lane_batches() const override { return lanes_.batches; }
  [[nodiscard]] std::int64_t window_batches() const override { return window_batches_; }

  [[nodiscard]] Window window(std::int64_t epoch, int lane, std::int64_t index) const override {
    Window window = lanes_.begin_window(epoch, lane, index, window_batches_);
    const Range all = lanes_.lane(lane);
    const Lanes::WindowPlaces places =
        lanes_.window_places(lane, window.first_batch, window_batches_);
    const std::shared_ptr<const Epoch> of = epoch_of(epoch);
    append_rows(*of, {all.begin + places.real.begin, all.begin + places.real.end},
                lanes_.window_rng(epoch, lane, index, 3), window.rows);
    for (std::int64_t left = places.filled; left > 0;) {
      const std::int64_t more = std::min(left, all.size());
      if (lanes_.options.tail == Tail::wrap) {
        append_rows(*of, {all.begin, all.begin + more}, lanes_.window_rng(epoch, lane, index, 4),
                    window.rows);
      } else {
        window.rows.insert(window.rows.end(), static_cast<std::size_t>(more), -1);
      }
      left -= more;
    }
    // Within a batch the labels come in any order.
    const auto real = static_cast<std::size_t>(
        places.real.size() + (lanes_.options.tail == Tail::wrap ? places.filled : 0));
    const auto size = static_cast<std::size_t>(window.batch_size);
    const CounterRng rng = lanes_.window_rng(epoch, lane, index, 1);
    for (std::size_t begin = 0; begin < real; begin += size) {
      permute(std::span(window.rows).subspan(begin, std::min(size, real - begin)),
              {rng.bits(begin), 0});
    }
    return window;
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> options() const override {
    auto options =
        common_options(kind_ == Kind::balanced ? "balanced" : "stratified", blocks_, lanes_);
    options.emplace_back("block", std::to_string(blocks_.block_rows()));
    options.emplace_back("window", std::to_string(window_rows_));
    options.emplace_back("by", fmt::format("{} ({:016x})", labels_.name, fingerprint_));
    return options;
  }
  [[nodiscard]] std::int64_t bytes() const override {
    return blocks_.bytes() + labels_.bytes() + LabelSequence::bytes(blocks_, labels_.count());
  }

 private:
  struct Epoch {
    LabelSequence sequence;
    std::unique_ptr<LabelPlan> plan;
  };

  /// The rows at places of the epoch's sequence: their labels as the plan says, each label's rows
  /// permuted among its places.
  void append_rows(const Epoch& of, Range places, const CounterRng& rng,
                   std::vector<std::int64_t>& rows) const {
    if (places.empty()) return;
    const std::vector<std::int32_t> labels = of.plan->labels(places);
    std::vector<std::int64_t> needed(rows_.size(), 0);
    for (const std::int32_t label : labels) ++needed[static_cast<std::size_t>(label)];
    const std::vector<std::int64_t> begin = of.plan->first_rows(places.begin);
    std::vector<Range> wanted;
    for (std::size_t label = 0; label < begin.size(); ++label) {
      const std::int64_t times = repeats_[label];
      wanted.push_back({begin[label], begin[label] + (needed[label] + times - 1) / times});
    }
    const std::vector<std::vector<std::int64_t>> found = of.sequence.rows(wanted);
    std::vector<std::vector<std::int64_t>> left(found.size());  // taken from the end
    for (std::size_t label = 0; label < found.size(); ++label) {
      for (std::int64_t i = 0; i < needed[label]; ++i) {
        left[label].push_back(found[label][static_cast<std::size_t>(i / repeats_[label])]);
      }
      permute(left[label], {rng.bits(label), 0});
    }
    rows.reserve(rows.size() + labels.size());
    for (const std::int32_t label : labels) {
      rows.push_back(left[static_cast<std::size_t>(label)].back());
      left[static_cast<std::size_t>(label)].pop_back();
    }
  }

  /// Made anew for each epoch; windows of two epochs are made side by side where they meet.
  [[nodiscard]] std::shared_ptr<const Epoch> epoch_of(std::int64_t epoch) const {
    if (auto known = epochs_.find(epoch)) return *known;
    const auto stream = static_cast<std::uint64_t>(epoch);
    const std::uint64_t seed = lanes_.options.seed;
    auto made = std::make_shared<const Epoch>(
        Epoch{LabelSequence(blocks_, labels_.of_row, labels_.count(), seed, stream),
              kind_ == Kind::balanced ? make_even_plan(rows_, blocks_.n_rows(), seed, stream)
                                      : make_proportional_plan(rows_, seed, stream)});
    epochs_.add(epoch, made, 1);
    return made;
  }

  Kind kind_;
  RowBlocks blocks_;
  Lanes lanes_;
  std::int64_t window_rows_;
  std::int64_t window_batches_;
  RowLabels labels_;
  std::vector<std::int64_t> rows_;     ///< of each label
  std::vector<std::int64_t> repeats_;  ///< of each row of a label, one after the other
  std::uint64_t fingerprint_;
  mutable Recent<Epoch> epochs_{2};
};

}  // namespace

std::unique_ptr<Order> make_balanced_order(RowBlocks blocks, RowLabels labels,
                                           std::int64_t window_rows, const OrderOptions& options) {
  return std::make_unique<LabelOrder>(Kind::balanced, std::move(blocks), std::move(labels),
                                      window_rows, options);
}

std::unique_ptr<Order> make_stratified_order(RowBlocks blocks, RowLabels labels,
                                             std::int64_t window_rows,
                                             const OrderOptions& options) {
  return std::make_unique<LabelOrder>(Kind::stratified, std::move(blocks), std::move(labels),
                                      window_rows, options);
}

}  // namespace cellmill
