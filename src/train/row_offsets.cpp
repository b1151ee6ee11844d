#include "train/row_offsets.hpp"

#include <algorithm>
#include <limits>
#include <mutex>

namespace cellmill {
namespace {

constexpr std::uint16_t is_long = std::numeric_limits<std::uint16_t>::max();
constexpr std::int64_t block_rows = std::int64_t{1} << 20;  ///< a multiple of a group's

}  // namespace

RowOffsets::RowOffsets(const MatrixSource& matrix, Arena& arena)
    : nnz_(static_cast<std::size_t>(matrix.n_rows())),
      group_(static_cast<std::size_t>((matrix.n_rows() + group_rows - 1) / group_rows)) {
  std::mutex adding;
  const std::int64_t blocks = (matrix.n_rows() + block_rows - 1) / block_rows;
  arena.for_each(blocks, [&](std::int64_t block) {
    const Range rows{block * block_rows, std::min((block + 1) * block_rows, matrix.n_rows())};
    const std::vector<std::int64_t> offsets = matrix.indptr(rows);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const auto at = static_cast<std::size_t>(row - rows.begin);
      if (row % group_rows == 0) group_[static_cast<std::size_t>(row / group_rows)] = offsets[at];
      const std::int64_t nnz = offsets[at + 1] - offsets[at];
      nnz_[static_cast<std::size_t>(row)] =
          static_cast<std::uint16_t>(std::min<std::int64_t>(nnz, is_long));
      if (nnz < is_long) continue;
      const std::lock_guard lock(adding);
      long_rows_.emplace_back(row, nnz);
    }
  });
  std::sort(long_rows_.begin(), long_rows_.end());
}

std::int64_t RowOffsets::nnz(std::int64_t row) const {
  const std::uint16_t nnz = nnz_[static_cast<std::size_t>(row)];
  if (nnz != is_long) return nnz;
  return std::lower_bound(long_rows_.begin(), long_rows_.end(), std::pair{row, std::int64_t{0}})
      ->second;
}

std::vector<std::int64_t> RowOffsets::offsets(Range rows) const {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(rows.size()) + 1);
  if (rows.empty()) return offsets;
  const std::int64_t group = rows.begin / group_rows;
  std::int64_t offset = group_[static_cast<std::size_t>(group)];
  for (std::int64_t row = group * group_rows; row < rows.begin; ++row) offset += nnz(row);
  offsets[0] = offset;
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    offset += nnz(row);
    offsets[static_cast<std::size_t>(row - rows.begin) + 1] = offset;
  }
  return offsets;
}

std::int64_t RowOffsets::bytes() const {
  return static_cast<std::int64_t>(nnz_.size() * sizeof(nnz_[0]) +
                                   group_.size() * sizeof(group_[0]) +
                                   long_rows_.size() * sizeof(long_rows_[0]));
}

}  // namespace cellmill
