#pragma once

#include <cstdint>
#include <memory>

#include "cellmill/train/order.hpp"
#include "cellmill/train/row_labels.hpp"

namespace cellmill {

/// Every batch has equally many rows of each label, to within one. An epoch has as many draws as
/// there are rows in use, so rare labels come several times in it and of frequent ones not all
/// rows, others in each epoch; rows of a label come equally often. A window takes all labels from
/// the same part of the epoch's order of the blocks, so a rare label's rows come again in the next
/// windows; where they lie scattered they also repeat within one, up to a few times, because each
/// of them costs the reading of a block. Rows without a label never come. \throws Error(usage,
/// input) naming a label that no row in use has
[[nodiscard]] std::unique_ptr<Order> make_balanced_order(RowBlocks blocks, RowLabels labels,
                                                         std::int64_t window_rows,
                                                         const OrderOptions& options);

/// All rows once an epoch, as in a shuffled one, and every batch has the labels in the proportions
/// of all rows in use, to within about one (a share p of K labels: 1 + p·K at most). Rows without a
/// label are a label more.
[[nodiscard]] std::unique_ptr<Order> make_stratified_order(RowBlocks blocks, RowLabels labels,
                                                           std::int64_t window_rows,
                                                           const OrderOptions& options);

}  // namespace cellmill
