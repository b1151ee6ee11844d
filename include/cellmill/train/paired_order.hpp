#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "cellmill/train/order.hpp"
#include "cellmill/train/row_labels.hpp"

namespace cellmill {

/// The rows in use that are controls, and those that are not: cells of a condition.
struct ConditionRows {
  RowBlocks cells;
  RowBlocks controls;
};

/// \param condition of each row; rows without one are left out \param control the condition that
/// controls have
/// \throws Error(input) if it is none of the conditions, if no row in use has it, or only it
[[nodiscard]] ConditionRows split_conditions(const RowBlocks& rows, const RowLabels& condition,
                                             std::string_view control);

/// All cells of a condition once an epoch, in shuffled order (make_shuffled_order), and with each a
/// control of the same label in `match`. Batches have 2 · batch_size rows: the cells, then their
/// controls in the same order (Window::parts); padding has padding for a control. Each control of a
/// label is as likely as the others; those of a window are neighbours in a random order of the
/// blocks, so that blocks are read together. Controls that lie scattered and must be repeated
/// anyway are so within a window, up to a few times. \throws Error(input) naming a condition and
/// label that have cells but no control, and for cells without a label
[[nodiscard]] std::unique_ptr<Order> make_paired_order(const ConditionRows& rows,
                                                       const RowLabels& condition,
                                                       std::string_view control, RowLabels match,
                                                       std::int64_t window_rows,
                                                       const OrderOptions& options);

}  // namespace cellmill
