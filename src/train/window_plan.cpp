#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "train/window_reader.hpp"

// What to read for a window, and what it costs.

namespace cellmill {
namespace {

constexpr std::int64_t bytes_a_value = sizeof(std::int32_t) + sizeof(float);
/// Rows that are read though nobody wants them, rather than to begin another read.
constexpr std::int64_t most_gap = 8;
/// Rows of one read: what a chunk at its ends is decoded for twice should be little beside it.
constexpr std::int64_t most_rows = 2'048;

}  // namespace

std::shared_ptr<WindowWork> WindowReader::plan(Window window,
                                               std::vector<WantedBatch> wanted) const {
  auto work = std::make_shared<WindowWork>();
  work->window = std::move(window);
  work->wanted = std::move(wanted);
  const std::vector<std::int64_t>& rows = work->window.rows;
  work->read_of_place.assign(rows.size(), -1);
  for (const WantedBatch& batch : work->wanted) {
    const std::int64_t begin = batch.in_window * work->window.batch_size;
    const std::int64_t end =
        std::min(begin + work->window.batch_size, static_cast<std::int64_t>(rows.size()));
    for (std::int64_t place = begin; place < end; ++place) {
      const std::int64_t row = rows[static_cast<std::size_t>(place)];
      if (row >= 0) work->targets.push_back({row, static_cast<std::int32_t>(place)});
    }
  }
  std::sort(work->targets.begin(), work->targets.end(), [](const auto& a, const auto& b) {
    return a.row != b.row ? a.row < b.row : a.place < b.place;
  });

  Range source_rows;  // of the source that the last read is of
  for (std::size_t i = 0; i < work->targets.size(); ++i) {
    const WindowWork::Target& target = work->targets[i];
    const bool same_source = target.row < source_rows.end;
    if (!work->reads.empty() && same_source) {
      WindowWork::Read& last = work->reads.back();
      const std::int64_t row = target.row - source_rows.begin;
      if (row - last.rows.end < most_gap && row - last.rows.begin < most_rows) {
        last.rows.end = row + 1;
        last.targets.end = static_cast<std::int64_t>(i) + 1;
        work->read_of_place[static_cast<std::size_t>(target.place)] =
            static_cast<std::int32_t>(work->reads.size()) - 1;
        continue;
      }
    }
    const Dataset::Place at = data_->place(target.row);
    source_rows = data_->rows_of_source(at.source);
    work->read_of_place[static_cast<std::size_t>(target.place)] =
        static_cast<std::int32_t>(work->reads.size());
    work->reads.push_back({at.source,
                           {at.row, at.row + 1},
                           {static_cast<std::int64_t>(i), static_cast<std::int64_t>(i) + 1}});
  }
  return work;
}

std::int64_t WindowReader::cost(const WindowWork& work) const {
  std::int64_t bytes = 0;
  for (std::size_t m = 0; m < matrices_.size(); ++m) {
    std::int64_t nnz = 0;
    for (const WindowWork::Read& read : work.reads) {
      const std::vector<std::int64_t> offsets =
          matrices_[m]->offsets(read.source).offsets(read.rows);
      nnz += offsets.back() - offsets.front();
    }
    // Fetched chunks hold a little more than these rows.
    constexpr double slack = 1.1;
    bytes += static_cast<std::int64_t>(slack * static_cast<double>(nnz) *
                                       matrices_[m]->encoded_bytes_per_nonzero());
    if (stays_packed(m)) continue;
    if (composes_dense()) {
      bytes +=
          static_cast<std::int64_t>(work.targets.size() * sizeof(float)) * matrices_[m]->n_cols();
    } else {
      // Once in the batches; where genes are chosen, what is left waits beside them first.
      bytes += nnz * bytes_a_value;
    }
  }
  for (const std::int64_t columns : obsm_columns_) {
    bytes += 2 * static_cast<std::int64_t>(work.targets.size() * sizeof(float)) * columns;
  }
  return bytes;
}

std::int64_t WindowReader::composed_bytes(const WindowWork& work) const {
  std::int64_t bytes = 0;
  if (tokenizer_) {
    const std::size_t values = static_cast<std::size_t>(tokenizer_->has_values()) +
                               static_cast<std::size_t>(tokenizer_->has_masked_values());
    const std::size_t each = sizeof(std::int64_t) + 1 + values * sizeof(float);
    for (const WindowWork::Target& target : work.targets) {
      const std::int64_t most = nnz_of(0, target.row) + tokenizer_->n_special();
      bytes += std::min(most, tokenizer_->max_length()) * static_cast<std::int64_t>(each);
    }
  }
  for (std::size_t m = 0; m < matrices_.size(); ++m) {
    if (goes_direct(m) || (m == 0 && tokenizer_ && stays_packed(m))) continue;
    if (composes_dense()) {
      bytes +=
          static_cast<std::int64_t>(work.targets.size() * sizeof(float)) * matrices_[m]->n_cols();
      continue;
    }
    for (const WindowWork::Target& target : work.targets) {
      bytes += nnz_of(m, target.row) * bytes_a_value;
    }
  }
  // Batches of one window differ a little.
  constexpr double slack = 1.1;
  return static_cast<std::int64_t>(
      slack * static_cast<double>(bytes) /
      static_cast<double>(std::max<std::size_t>(work.wanted.size(), 1)));
}

}  // namespace cellmill
