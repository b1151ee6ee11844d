#include "cellmill/train/row_blocks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

void expect_rising(std::span<const std::int64_t> rows, std::int64_t n_rows) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0 || rows[i] >= n_rows) {
      throw input_error(
          n_rows == 0 ? fmt::format("rows: {} found, but the data has no row", grouped(rows[i]))
                      : fmt::format("rows: {} found, expected 0 to {}", grouped(rows[i]),
                                    grouped(n_rows - 1)));
    }
    if (i > 0 && rows[i] <= rows[i - 1]) {
      throw input_error(fmt::format("rows: {} after {}, expected rising rows, each once",
                                    grouped(rows[i]), grouped(rows[i - 1])));
    }
  }
}

}  // namespace

RowBlocks::RowBlocks(std::span<const std::int64_t> rows_of_sources, std::int64_t block_rows,
                     std::optional<std::vector<std::int64_t>> chosen)
    : block_rows_(block_rows), first_row_{0}, first_block_{0}, chosen_(std::move(chosen)) {
  if (block_rows < 1) {
    throw usage_error(fmt::format("block: {} rows found, expected at least 1", block_rows));
  }
  // A block never leaves its source, so a larger one is the same; places times rows stay in range.
  std::int64_t longest = 1;
  for (const std::int64_t rows : rows_of_sources) longest = std::max(longest, rows);
  block_rows_ = block_rows = std::min(block_rows, longest);
  const auto add_to_fingerprint = [&](std::int64_t number) {
    fingerprint_ = CounterRng(fingerprint_, 0).bits(static_cast<std::uint64_t>(number));
  };
  add_to_fingerprint(static_cast<std::int64_t>(rows_of_sources.size()));
  for (const std::int64_t rows : rows_of_sources) {
    first_row_.push_back(first_row_.back() + rows);
    first_block_.push_back(first_block_.back() + (rows + block_rows - 1) / block_rows);
    add_to_fingerprint(rows);
  }
  if (!chosen_) return;
  expect_rising(*chosen_, first_row_.back());
  std::size_t source = 0;
  std::int64_t block_end = 0;  // first row after the block that the last row is in
  for (std::size_t i = 0; i < chosen_->size(); ++i) {
    const std::int64_t row = (*chosen_)[i];
    add_to_fingerprint(row);
    if (block_rows == 1 || row < block_end) continue;
    begins_.push_back(static_cast<std::int64_t>(i));
    while (row >= first_row_[source + 1]) ++source;
    const std::int64_t in_source = row - first_row_[source];
    block_end = std::min(first_row_[source] + (in_source / block_rows + 1) * block_rows,
                         first_row_[source + 1]);
  }
  if (block_rows > 1) begins_.push_back(static_cast<std::int64_t>(chosen_->size()));
}

RowBlocks RowBlocks::subset(std::vector<std::int64_t> chosen) const {
  std::vector<std::int64_t> rows_of_sources;
  for (std::size_t source = 0; source + 1 < first_row_.size(); ++source) {
    rows_of_sources.push_back(first_row_[source + 1] - first_row_[source]);
  }
  return {rows_of_sources, block_rows_, std::move(chosen)};
}

std::int64_t RowBlocks::n_blocks() const {
  if (block_rows_ == 1) return n_rows();
  return chosen_ ? static_cast<std::int64_t>(begins_.size()) - 1 : first_block_.back();
}

std::int64_t RowBlocks::n_rows() const {
  return chosen_ ? static_cast<std::int64_t>(chosen_->size()) : first_row_.back();
}

Range RowBlocks::block(std::int64_t number) const {
  if (block_rows_ == 1) return {number, number + 1};
  const auto at = static_cast<std::size_t>(number);
  if (chosen_) return {begins_[at], begins_[at + 1]};
  const auto after = std::upper_bound(first_block_.begin(), first_block_.end(), number);
  const auto source = static_cast<std::size_t>(after - first_block_.begin()) - 1;
  const std::int64_t begin = first_row_[source] + (number - first_block_[source]) * block_rows_;
  return {begin, std::min(begin + block_rows_, first_row_[source + 1])};
}

std::int64_t RowBlocks::bytes() const {
  const std::size_t numbers = begins_.size() + (chosen_ ? chosen_->size() : 0);
  return static_cast<std::int64_t>(numbers * sizeof(std::int64_t));
}

std::vector<std::int64_t> RowBlocks::short_blocks() const {
  std::vector<std::int64_t> found;
  if (block_rows_ == 1) return found;
  const auto add_if_short = [&](std::int64_t number) {
    if (block(number).size() < block_rows_) found.push_back(number);
  };
  if (chosen_) {
    for (std::int64_t number = 0; number < n_blocks(); ++number) add_if_short(number);
  } else {
    // Only the last block of a source can be short.
    for (std::size_t source = 0; source + 1 < first_block_.size(); ++source) {
      if (first_block_[source + 1] > first_block_[source])
        add_if_short(first_block_[source + 1] - 1);
    }
  }
  return found;
}

}  // namespace cellmill
