#include "cellmill/train/weighted_order.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "train/alias_table.hpp"
#include "train/lanes.hpp"

namespace cellmill {
namespace {

/// What is known of the weights of the rows in use.
struct WeighedBlocks {
  std::vector<double> sums;       ///< of each block
  std::uint64_t fingerprint = 0;  ///< of all weights in use
};

WeighedBlocks weigh(const RowBlocks& blocks, const RowWeights& weights) {
  if (weights.size() != blocks.n_all_rows()) {
    throw input_error(fmt::format("weights: {} found, expected one for each of the {} rows",
                                  grouped(weights.size()), grouped(blocks.n_all_rows())));
  }
  WeighedBlocks of;
  of.sums.reserve(static_cast<std::size_t>(blocks.n_blocks()));
  double total = 0;
  for (std::int64_t number = 0; number < blocks.n_blocks(); ++number) {
    const Range block = blocks.block(number);
    double sum = 0;
    for (std::int64_t at = block.begin; at < block.end; ++at) {
      const std::int64_t row = blocks.row(at);
      const double weight = weights[row];
      if (!std::isfinite(weight) || weight < 0) {
        throw input_error(fmt::format("weights: {} found for row {}, expected a number from 0 on",
                                      weight, grouped(row)));
      }
      sum += weight;
      of.fingerprint = CounterRng(of.fingerprint, 0).bits(std::bit_cast<std::uint64_t>(weight));
    }
    of.sums.push_back(sum);
    total += sum;
  }
  if (total == 0) {
    throw input_error(fmt::format("weights: all of the {} rows in use have 0, expected some above",
                                  grouped(blocks.n_rows())));
  }
  if (!std::isfinite(total)) {
    throw input_error("weights: their sum is beyond the largest number, expected smaller ones");
  }
  return of;
}

std::vector<double> block_sizes(const RowBlocks& blocks) {
  std::vector<double> sizes;
  sizes.reserve(static_cast<std::size_t>(blocks.n_blocks()));
  for (std::int64_t number = 0; number < blocks.n_blocks(); ++number) {
    sizes.push_back(static_cast<double>(blocks.block(number).size()));
  }
  return sizes;
}

class WeightedOrder final : public Order {
 public:
  /// \param warmup_epochs 0: none
  WeightedOrder(RowBlocks blocks, RowWeights weights, std::int64_t warmup_epochs,
                std::int64_t window_rows, const OrderOptions& options)
      : blocks_(std::move(blocks)),
        weights_(std::move(weights)),
        lanes_(blocks_.n_rows(), options),
        window_rows_(window_rows),
        window_batches_(lanes_.window_batches(window_rows)),
        warmup_epochs_(warmup_epochs) {
    const WeighedBlocks weighed = weigh(blocks_, weights_);
    fingerprint_ = weighed.fingerprint;
    rows_a_visit_ = (blocks_.n_rows() + blocks_.n_blocks() / 2) / blocks_.n_blocks();
    by_weight_.emplace(weighed.sums);
    if (warmup_epochs_ > 0) by_size_.emplace(block_sizes(blocks_));
  }

  [[nodiscard]] int lanes() const override { return lanes_.options.lanes; }
  [[nodiscard]] std::int64_t lane_batches() const override { return lanes_.batches; }
  [[nodiscard]] std::int64_t window_batches() const override { return window_batches_; }

  [[nodiscard]] Window window(std::int64_t epoch, int lane, std::int64_t index) const override {
    Window window = lanes_.begin_window(epoch, lane, index, window_batches_);
    const Lanes::WindowPlaces places =
        lanes_.window_places(lane, window.first_batch, window_batches_);
    const bool pads = lanes_.options.tail == Tail::pad;
    const std::int64_t draws = places.real.size() + (pads ? 0 : places.filled);
    const std::int64_t visits = (draws + rows_a_visit_ - 1) / rows_a_visit_;
    const CounterRng chooses = lanes_.window_rng(epoch, lane, index, 3);
    const CounterRng picks = lanes_.window_rng(epoch, lane, index, 4);
    const double weighted = share_of_weights(epoch);
    window.rows.reserve(static_cast<std::size_t>(draws + places.filled));
    for (std::int64_t visit = 0; visit < visits; ++visit) {
      const auto counter = 3 * static_cast<std::uint64_t>(visit);
      const bool by_weight = chooses.uniform(counter) < weighted;
      const AliasTable& table = by_weight ? *by_weight_ : *by_size_;
      const std::int64_t block =
          table.draw(chooses.below(counter + 1, static_cast<std::uint64_t>(table.size())),
                     chooses.uniform(counter + 2));
      const std::int64_t rows = even_part(draws, visits, visit).size();
      if (by_weight) {
        append_rows(block, rows, picks, window.rows,
                    [this](std::int64_t row) { return weights_[row]; });
      } else {
        append_rows(block, rows, picks, window.rows, [](std::int64_t) { return 1.0; });
      }
    }
    permute(window.rows, lanes_.window_rng(epoch, lane, index, 1));
    if (pads) window.rows.insert(window.rows.end(), static_cast<std::size_t>(places.filled), -1);
    return window;
  }

  [[nodiscard]] std::vector<std::pair<std::string, std::string>> options() const override {
    auto options = common_options(warmup_epochs_ > 0 ? "curriculum" : "weighted", blocks_, lanes_);
    options.emplace_back("block", std::to_string(blocks_.block_rows()));
    options.emplace_back("window", std::to_string(window_rows_));
    options.emplace_back("weights", fmt::format("{:016x}", fingerprint_));
    if (warmup_epochs_ > 0) options.emplace_back("warmup_epochs", std::to_string(warmup_epochs_));
    return options;
  }
  [[nodiscard]] std::int64_t bytes() const override {
    return blocks_.bytes() + weights_.bytes() + by_weight_->bytes() +
           (by_size_ ? by_size_->bytes() : 0);
  }

 private:
  /// How likely a visit is by weight.
  [[nodiscard]] double share_of_weights(std::int64_t epoch) const {
    if (epoch >= warmup_epochs_) return 1;
    return static_cast<double>(epoch) / static_cast<double>(warmup_epochs_);
  }

  /// Draws rows of a block: one from each of `count` equal parts of its summed weight.
  template <class Weight>
  void append_rows(std::int64_t number, std::int64_t count, const CounterRng& rng,
                   std::vector<std::int64_t>& rows, Weight&& weight_of) const {
    const Range block = blocks_.block(number);
    double sum = 0;
    std::int64_t last = block.begin;  // with a weight: where rounding would go past the end
    for (std::int64_t at = block.begin; at < block.end; ++at) {
      const double weight = weight_of(blocks_.row(at));
      sum += weight;
      if (weight > 0) last = at;
    }
    std::int64_t at = block.begin;
    double end = weight_of(blocks_.row(at));  // of the weights up to and with this row's
    for (std::int64_t i = 0; i < count; ++i) {
      const double part = static_cast<double>(i) + rng.uniform(rows.size());
      const double wanted = part / static_cast<double>(count) * sum;
      while (at < last && end <= wanted) end += weight_of(blocks_.row(++at));
      rows.push_back(blocks_.row(at));
    }
  }

  RowBlocks blocks_;
  RowWeights weights_;
  Lanes lanes_;
  std::int64_t window_rows_;
  std::int64_t window_batches_;
  std::int64_t warmup_epochs_;
  std::uint64_t fingerprint_ = 0;
  std::int64_t rows_a_visit_ = 1;        ///< as many as a block has in use, on average
  std::optional<AliasTable> by_weight_;  ///< blocks by their summed weights
  std::optional<AliasTable> by_size_;    ///< blocks by their rows, while it warms up
};

}  // namespace

std::unique_ptr<Order> make_weighted_order(RowBlocks blocks, RowWeights weights,
                                           std::int64_t window_rows, const OrderOptions& options) {
  return std::make_unique<WeightedOrder>(std::move(blocks), std::move(weights), 0, window_rows,
                                         options);
}

std::unique_ptr<Order> make_curriculum_order(RowBlocks blocks, RowWeights weights,
                                             std::int64_t warmup_epochs, std::int64_t window_rows,
                                             const OrderOptions& options) {
  if (warmup_epochs < 1) {
    throw usage_error(fmt::format("warmup_epochs: {} found, expected at least 1", warmup_epochs));
  }
  return std::make_unique<WeightedOrder>(std::move(blocks), std::move(weights), warmup_epochs,
                                         window_rows, options);
}

}  // namespace cellmill
