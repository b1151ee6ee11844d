#pragma once

#include <cstdint>
#include <memory>

#include "cellmill/train/order.hpp"
#include "cellmill/train/row_weights.hpp"

namespace cellmill {

/// Rows drawn in proportion to their weights, with replacement; an epoch has as many draws as there
/// are rows in use, in lanes and windows as a shuffled one. A window's draws are made by visits to
/// blocks: each visit draws a block in proportion to its summed weight and as many rows as a block
/// has from it, by weight; then all draws of the window are permuted. So a row's expected count is
/// exactly in proportion to its weight, and reading costs no more than a shuffled epoch. The rows
/// of a visit are drawn from equal parts of the block's summed weight, one from each: where all
/// weights are equal a visit takes each row of the block once.
///
/// Draws of a visit are of one block, so counts vary more than those of single draws do: the design
/// effect of clusters (docs/numerics.md, "Weighted orders").
/// \param weights one for each row of the data, those in use finite, none negative, not all 0
/// \throws Error(input) for weights that are not, naming the first row
[[nodiscard]] std::unique_ptr<Order> make_weighted_order(RowBlocks blocks, RowWeights weights,
                                                         std::int64_t window_rows,
                                                         const OrderOptions& options);

/// From uniform to weighted: in epoch e a visit is by weight with probability min(1, e /
/// warmup_epochs), and otherwise to a block in proportion to its rows, each of them alike. So a
/// row's share of the draws goes linearly from 1/N in epoch 0 to its weight's share.
/// \throws also Error(usage) if warmup_epochs < 1
[[nodiscard]] std::unique_ptr<Order> make_curriculum_order(RowBlocks blocks, RowWeights weights,
                                                           std::int64_t warmup_epochs,
                                                           std::int64_t window_rows,
                                                           const OrderOptions& options);

}  // namespace cellmill
