#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cellmill/core/ranges.hpp"

namespace cellmill {

/// The rows that training reads, cut into blocks: runs of neighbours in one source, read together.
/// Rows are numbered over all sources, in the order of the sources. Pure arithmetic: nothing is
/// read, and without a choice of rows nothing of the size of the data is held.
class RowBlocks {
 public:
  /// \param rows_of_sources rows of each source \param block_rows rows of a block, the last one of
  /// each source shorter \param chosen rows to use, strictly rising; none: all. A block then has
  /// those of its rows that are chosen, and blocks without any are left out.
  /// \throws Error(input) for rows that do not rise or lie outside, Error(usage) if block_rows < 1
  RowBlocks(std::span<const std::int64_t> rows_of_sources, std::int64_t block_rows,
            std::optional<std::vector<std::int64_t>> chosen = std::nullopt);

  /// Of the same sources and as large, of these rows only, strictly rising.
  [[nodiscard]] RowBlocks subset(std::vector<std::int64_t> chosen) const;

  [[nodiscard]] std::int64_t n_blocks() const;
  /// All rows in use.
  [[nodiscard]] std::int64_t n_rows() const;
  /// All rows of the sources, in use or not.
  [[nodiscard]] std::int64_t n_all_rows() const { return first_row_.back(); }
  /// Positions, in the sequence of all rows in use, of a block's rows.
  [[nodiscard]] Range block(std::int64_t number) const;
  /// The row at a position of that sequence.
  [[nodiscard]] std::int64_t row(std::int64_t position) const {
    return chosen_ ? (*chosen_)[static_cast<std::size_t>(position)] : position;
  }
  /// Rows of a whole block, at most those of the longest source; most blocks have as many.
  [[nodiscard]] std::int64_t block_rows() const { return block_rows_; }
  /// Numbers of the blocks with fewer rows, rising.
  [[nodiscard]] std::vector<std::int64_t> short_blocks() const;
  /// Of the rows in use: the same for the same rows.
  [[nodiscard]] std::uint64_t fingerprint() const { return fingerprint_; }
  /// Memory for a choice of rows.
  [[nodiscard]] std::int64_t bytes() const;

 private:
  std::int64_t block_rows_;
  std::vector<std::int64_t> first_row_;    ///< of each source, and the end
  std::vector<std::int64_t> first_block_;  ///< of each source, and the end; no choice
  std::optional<std::vector<std::int64_t>> chosen_;
  /// Of each block in `chosen_`, and the end; empty where a block is a row.
  std::vector<std::int64_t> begins_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace cellmill
