#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/core/ranges.hpp"
#include "cellmill/train/row_blocks.hpp"
#include "train/keyed_permutation.hpp"

namespace cellmill {

/// The rows of each label, in an epoch's random order of the blocks, which all labels share: where
/// labels lie mixed in the blocks, and are gone through at about the same pace, a block that is
/// read for one of them is read for the others too. Labels go round: after their last row comes
/// their first.
///
/// Holds how many rows of each label come before every so many blocks, at most 32 MB of it (one row
/// of it at least); finding rows reads the labels from there on.
class LabelSequence {
 public:
  /// Goes through the labels of all rows in use, once. \param labels of all rows of the data, below
  /// 0: none; outlive this, as the blocks do \param n_labels
  LabelSequence(const RowBlocks& blocks, std::span<const std::int32_t> labels,
                std::int64_t n_labels, std::uint64_t seed, std::uint64_t stream);

  /// Most memory that the sequences of an order take: of two epochs side by side, and one that is
  /// made.
  [[nodiscard]] static std::int64_t bytes(const RowBlocks& blocks, std::int64_t n_labels);

  /// Rows that have a label.
  [[nodiscard]] std::int64_t count(std::int64_t label) const {
    return before_[static_cast<std::size_t>(segments_ * n_labels_ + label)];
  }

  /// \param wanted for each label numbers of its rows, from 0 on; past its last row it goes round
  /// \returns those rows of each label, in that order
  [[nodiscard]] std::vector<std::vector<std::int64_t>> rows(std::span<const Range> wanted) const;

 private:
  /// Calls body(row, label) for the rows at places of a segment, in order.
  template <class Body>
  void visit_segment(std::int64_t segment, Body&& body) const;
  [[nodiscard]] std::int64_t before(std::int64_t segment, std::int64_t label) const {
    return before_[static_cast<std::size_t>(segment * n_labels_ + label)];
  }

  const RowBlocks& blocks_;
  std::span<const std::int32_t> labels_;
  std::int64_t n_labels_;
  KeyedPermutation permutation_;
  std::int64_t segments_;             ///< runs of places of about equally many blocks
  std::vector<std::int64_t> before_;  ///< rows of each label before each segment, and at the end
};

/// How often each row of a label is taken before the next one, where it must be repeated anyway: so
/// often that a block that is read for it gives an eighth of its rows.
/// \param rows of the label \param blocks that have some of them \param taken rows in an epoch
[[nodiscard]] std::int64_t repeats_of(std::int64_t rows, std::int64_t blocks, std::int64_t taken,
                                      std::int64_t block_rows);

/// In how many blocks each label occurs.
[[nodiscard]] std::vector<std::int64_t> blocks_with(const RowBlocks& blocks,
                                                    std::span<const std::int32_t> labels,
                                                    std::int64_t n_labels);

}  // namespace cellmill
