#pragma once

#include <cstdint>
#include <span>

namespace cellmill {

/// What a batch of rows drawn at random without replacement is expected to hold: exact, from the
/// hypergeometric distribution of each label's count.
struct RandomBatch {
  double entropy = 0;    ///< bits
  double distinct = 0;   ///< labels
  double variation = 0;  ///< total variation distance to the labels' frequencies
};

/// \param rows_of_labels of all rows \param size of the batch; one larger than all rows is as one
/// of all rows
[[nodiscard]] RandomBatch expected_random_batch(std::span<const std::int64_t> rows_of_labels,
                                                std::int64_t size);

}  // namespace cellmill
