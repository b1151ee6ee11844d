#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "cellmill/train/obs_values.hpp"
#include "cellmill/train/row_blocks.hpp"

namespace cellmill {

/// A label for each row of the data, 4 bytes each: what orders by class and in pairs go by.
struct RowLabels {
  std::string name;                  ///< for messages and states
  std::vector<std::string> levels;   ///< what the labels mean, for messages
  std::vector<std::int32_t> of_row;  ///< of all rows, in use or not; −1: none
  [[nodiscard]] std::int64_t count() const { return static_cast<std::int64_t>(levels.size()); }
  /// Memory of the rows' labels.
  [[nodiscard]] std::int64_t bytes() const {
    return static_cast<std::int64_t>(of_row.size() * sizeof(of_row[0]));
  }
};

/// A column of obs as labels. \throws Error(usage) for a column of numbers
[[nodiscard]] RowLabels labels_of(const ObsValues& column);

/// One label for each combination of these columns' labels that a row has; rows where one of them
/// is missing have none. No column: all rows are alike. \throws Error(usage) for a column of
/// numbers
[[nodiscard]] RowLabels combined_labels(std::span<const ObsValues* const> columns,
                                        std::int64_t n_rows);

/// How many rows in use have each label.
[[nodiscard]] std::vector<std::int64_t> count_labels(const RowBlocks& rows,
                                                     const RowLabels& labels);

/// Of the labels of the rows in use: the same for the same ones.
[[nodiscard]] std::uint64_t fingerprint(const RowBlocks& rows, const RowLabels& labels);

}  // namespace cellmill
