#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cellmill/train/row_blocks.hpp"

namespace cellmill {

/// What happens to the rows at the end of an epoch that fill no batch.
enum class Tail {
  drop,  ///< left out; which ones they are changes from epoch to epoch
  pad,   ///< the last batch is filled up with −1: rows that are not there
  wrap,  ///< the last batch is filled up with rows from the lane's beginning
  keep   ///< the last batch is smaller; one lane only
};

/// Batches that a lane reads together and hands out one after the other.
struct Window {
  std::int64_t first_batch = 0;  ///< number of its first batch in the lane
  std::int64_t batch_size = 0;
  /// A batch's rows are so many runs of equal length: 2 where cells come with a control each.
  std::int64_t parts = 1;
  /// Rows in the order of the batches: batch i has [i · batch_size, (i+1) · batch_size), the last
  /// one of an epoch perhaps fewer (Tail::keep). A row may occur more than once; −1: padding.
  std::vector<std::int64_t> rows;

  [[nodiscard]] std::int64_t n_batches() const {
    return (static_cast<std::int64_t>(rows.size()) + batch_size - 1) / batch_size;
  }
};

/// In which order rows are handed out: for each epoch, L lanes of equally many batches. Global
/// batch g of an epoch is batch g / L of lane g mod L, whoever reads it. A pure function of what it
/// was made from and of (epoch, lane, window): any process can ask for any window, so training
/// resumes anywhere and with any number of ranks (docs/architecture.md, "Training order").
/// Thread-safe.
class Order {
 public:
  Order() = default;
  Order(const Order&) = delete;
  Order& operator=(const Order&) = delete;
  virtual ~Order() = default;

  [[nodiscard]] virtual int lanes() const = 0;
  /// Batches of each lane in an epoch: the same for every lane and epoch.
  [[nodiscard]] virtual std::int64_t lane_batches() const = 0;
  /// Batches of each window, the last one of an epoch perhaps fewer.
  [[nodiscard]] virtual std::int64_t window_batches() const = 0;
  /// \param index of the window: batches from index · window_batches() on
  /// \throws Error(usage) if there is no such epoch, lane or window
  [[nodiscard]] virtual Window window(std::int64_t epoch, int lane, std::int64_t index) const = 0;
  /// Every option that shapes the order, as `name=value` pairs: what a saved state must agree with.
  [[nodiscard]] virtual std::vector<std::pair<std::string, std::string>> options() const = 0;
  /// Memory for what is known of the rows: labels, weights, which ones are in use. What somebody
  /// else holds (an array of weights, a mapped file) is not in it.
  [[nodiscard]] virtual std::int64_t bytes() const = 0;
};

struct OrderOptions {
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  int lanes = 1;
  Tail tail = Tail::drop;
};

/// Rows as they come. Lane l has the l-th of L even parts of them. Batches hold neighbours.
[[nodiscard]] std::unique_ptr<Order> make_sequential_order(RowBlocks rows,
                                                           const OrderOptions& options);

/// Blocks in random order form one sequence of rows, which is cut into L lanes equal to within one
/// row. A lane's sequence is cut into as few windows as can be of about `window_rows` rows, rounded
/// to whole batches (at least one), all about even; the rows of a window are permuted. What
/// randomness costs is windows: each holds window_rows / block rows independent blocks.
[[nodiscard]] std::unique_ptr<Order> make_shuffled_order(RowBlocks blocks, std::int64_t window_rows,
                                                         const OrderOptions& options);

}  // namespace cellmill
