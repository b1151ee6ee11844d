#include "cellmill/train/order.hpp"

#include <algorithm>
#include <utility>

#include "cellmill/core/recent.hpp"
#include "train/keyed_permutation.hpp"
#include "train/lanes.hpp"

namespace cellmill {
namespace {

using Options = std::vector<std::pair<std::string, std::string>>;

class SequentialOrder final : public Order {
 public:
  SequentialOrder(RowBlocks rows, const OrderOptions& options)
      : rows_(std::move(rows)), lanes_(rows_.n_rows(), options) {}

  [[nodiscard]] int lanes() const override { return lanes_.options.lanes; }
  [[nodiscard]] std::int64_t lane_batches() const override { return lanes_.batches; }
  [[nodiscard]] std::int64_t window_batches() const override {
    constexpr std::int64_t rows_read_together = 8'192;
    return std::clamp<std::int64_t>(rows_read_together / lanes_.options.batch_size, 1,
                                    lanes_.batches);
  }

  [[nodiscard]] Window window(std::int64_t epoch, int lane, std::int64_t index) const override {
    Window window = lanes_.begin_window(epoch, lane, index, window_batches());
    const Range all = lanes_.lane(lane);
    const Lanes::WindowPlaces places =
        lanes_.window_places(lane, window.first_batch, window_batches());
    window.rows.reserve(static_cast<std::size_t>(places.real.size() + places.filled));
    // Each epoch begins where the one before stopped, so what is dropped moves through the rows.
    const std::int64_t dropped =
        lanes_.options.tail == Tail::drop ? all.size() - lanes_.batches * window.batch_size : 0;
    const auto start = static_cast<std::int64_t>(static_cast<__int128>(epoch) * dropped %
                                                 static_cast<__int128>(all.size()));
    const auto row_at = [&](std::int64_t place) {
      return rows_.row(all.begin + (start + place) % all.size());
    };
    for (std::int64_t place = places.real.begin; place < places.real.end; ++place) {
      window.rows.push_back(row_at(place));
    }
    for (std::int64_t i = 0; i < places.filled; ++i) {
      window.rows.push_back(lanes_.options.tail == Tail::wrap ? row_at(i) : -1);
    }
    return window;
  }

  [[nodiscard]] Options options() const override {
    return common_options("sequential", rows_, lanes_);
  }
  [[nodiscard]] std::int64_t bytes() const override { return rows_.bytes(); }

 private:
  RowBlocks rows_;
  Lanes lanes_;
};

class ShuffledOrder final : public Order {
 public:
  ShuffledOrder(RowBlocks blocks, std::int64_t window_rows, const OrderOptions& options)
      : blocks_(std::move(blocks)),
        lanes_(blocks_.n_rows(), options),
        window_rows_(window_rows),
        window_batches_(lanes_.window_batches(window_rows)) {
    for (const std::int64_t block : blocks_.short_blocks()) {
      short_.push_back({block, blocks_.block_rows() - blocks_.block(block).size()});
    }
  }

  [[nodiscard]] int lanes() const override { return lanes_.options.lanes; }
  [[nodiscard]] std::int64_t lane_batches() const override { return lanes_.batches; }
  [[nodiscard]] std::int64_t window_batches() const override { return window_batches_; }

  [[nodiscard]] Window window(std::int64_t epoch, int lane, std::int64_t index) const override {
    Window window = lanes_.begin_window(epoch, lane, index, window_batches_);
    const std::shared_ptr<const EpochBlocks> epoch_blocks = blocks_of(epoch);
    const EpochBlocks& order = *epoch_blocks;
    const Range all = lanes_.lane(lane);
    const Lanes::WindowPlaces places =
        lanes_.window_places(lane, window.first_batch, window_batches_);
    order.append_rows({all.begin + places.real.begin, all.begin + places.real.end}, window.rows);

    permute(window.rows, lanes_.window_rng(epoch, lane, index, 1));
    if (places.filled > 0 && lanes_.options.tail == Tail::wrap) {
      for (std::int64_t filled = 0; filled < places.filled;) {
        const std::int64_t more = std::min(places.filled - filled, all.size());
        order.append_rows({all.begin, all.begin + more}, window.rows);
        filled += more;
      }
    } else {
      window.rows.insert(window.rows.end(), static_cast<std::size_t>(places.filled), -1);
    }
    return window;
  }

  [[nodiscard]] Options options() const override {
    Options options = common_options("shuffle", blocks_, lanes_);
    options.emplace_back("block", std::to_string(blocks_.block_rows()));
    options.emplace_back("window", std::to_string(window_rows_));
    return options;
  }
  [[nodiscard]] std::int64_t bytes() const override {
    constexpr std::int64_t copies =
        4;  // of the short blocks: by block, and as LabelSequence::bytes
    return blocks_.bytes() + copies * static_cast<std::int64_t>(short_.size() * sizeof(Short));
  }

 private:
  struct Short {
    std::int64_t at = 0;       ///< block, or its place in an epoch
    std::int64_t missing = 0;  ///< rows that it has less than a whole one
  };

  /// The blocks in an epoch's order, one after the other.
  class EpochBlocks {
   public:
    EpochBlocks(const ShuffledOrder& order, std::int64_t epoch)
        : blocks_(order.blocks_),
          permutation_(static_cast<std::uint64_t>(order.blocks_.n_blocks()),
                       order.lanes_.options.seed, static_cast<std::uint64_t>(epoch)),
          short_(order.short_) {
      for (Short& one : short_) {
        one.at =
            static_cast<std::int64_t>(permutation_.place_of(static_cast<std::uint64_t>(one.at)));
      }
      std::sort(short_.begin(), short_.end(),
                [](const Short& a, const Short& b) { return a.at < b.at; });
      std::int64_t missing = 0;
      for (Short& one : short_) missing = one.missing += missing;
    }

    /// Rows at these places of the sequence.
    void append_rows(Range places, std::vector<std::int64_t>& rows) const {
      if (places.empty()) return;
      rows.reserve(rows.size() + static_cast<std::size_t>(places.size()));
      std::int64_t place = block_at(places.begin);
      for (std::int64_t at = begin_of(place); at < places.end; ++place) {
        const Range block = blocks_.block(
            static_cast<std::int64_t>(permutation_.at(static_cast<std::uint64_t>(place))));
        const std::int64_t from = std::max(places.begin - at, std::int64_t{0});
        const std::int64_t to = std::min(places.end - at, block.size());
        for (std::int64_t i = from; i < to; ++i) rows.push_back(blocks_.row(block.begin + i));
        at += block.size();
      }
    }

   private:
    /// Where the block at a place begins in the sequence.
    [[nodiscard]] std::int64_t begin_of(std::int64_t place) const {
      const auto after =
          std::lower_bound(short_.begin(), short_.end(), place,
                           [](const Short& one, std::int64_t value) { return one.at < value; });
      return place * blocks_.block_rows() -
             (after == short_.begin() ? 0 : std::prev(after)->missing);
    }
    /// The place of the block that holds a place of the sequence.
    [[nodiscard]] std::int64_t block_at(std::int64_t row) const {
      std::int64_t low = row / blocks_.block_rows();  // short blocks only move it on
      std::int64_t high = blocks_.n_blocks() - 1;
      while (low < high) {
        const std::int64_t middle = (low + high + 1) / 2;
        if (begin_of(middle) <= row) {
          low = middle;
        } else {
          high = middle - 1;
        }
      }
      return low;
    }

    const RowBlocks& blocks_;
    KeyedPermutation permutation_;
    std::vector<Short> short_;  ///< by place; `missing` up to and with it
  };

  /// Made anew for each epoch; windows of two epochs are made side by side where they meet.
  [[nodiscard]] std::shared_ptr<const EpochBlocks> blocks_of(std::int64_t epoch) const {
    if (auto known = epochs_.find(epoch)) return *known;
    auto made = std::make_shared<const EpochBlocks>(*this, epoch);
    epochs_.add(epoch, made, 1);
    return made;
  }

  RowBlocks blocks_;
  Lanes lanes_;
  std::int64_t window_rows_;
  std::int64_t window_batches_;
  std::vector<Short> short_;  ///< by block
  mutable Recent<EpochBlocks> epochs_{2};
};

}  // namespace

std::unique_ptr<Order> make_sequential_order(RowBlocks rows, const OrderOptions& options) {
  return std::make_unique<SequentialOrder>(std::move(rows), options);
}

std::unique_ptr<Order> make_shuffled_order(RowBlocks blocks, std::int64_t window_rows,
                                           const OrderOptions& options) {
  return std::make_unique<ShuffledOrder>(std::move(blocks), window_rows, options);
}

}  // namespace cellmill
