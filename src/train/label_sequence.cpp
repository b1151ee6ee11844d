#include "train/label_sequence.hpp"

#include <algorithm>
#include <set>

namespace cellmill {
namespace {

std::int64_t segments_of(std::int64_t n_blocks, std::int64_t n_labels) {
  constexpr std::int64_t most_counts = 4'000'000;
  constexpr std::int64_t least_blocks = 16;
  return std::clamp<std::int64_t>(
      n_blocks / least_blocks, 1,
      std::max<std::int64_t>(most_counts / std::max<std::int64_t>(n_labels, 1), 1));
}

/// Where numbers that go round fall in [0, count): all of it, or one range, or one to the end and
/// one from the beginning.
struct Pieces {
  Range first;
  Range second;
  [[nodiscard]] bool has(std::int64_t number) const {
    return (number >= first.begin && number < first.end) ||
           (number >= second.begin && number < second.end);
  }
};

Pieces pieces_of(Range wanted, std::int64_t count) {
  if (wanted.empty() || count == 0) return {};
  if (wanted.size() >= count) return {{0, count}, {}};
  const std::int64_t begin = wanted.begin % count;
  const std::int64_t end = begin + wanted.size();
  if (end <= count) return {{begin, end}, {}};
  return {{begin, count}, {0, end - count}};
}

}  // namespace

LabelSequence::LabelSequence(const RowBlocks& blocks, std::span<const std::int32_t> labels,
                             std::int64_t n_labels, std::uint64_t seed, std::uint64_t stream)
    : blocks_(blocks),
      labels_(labels),
      n_labels_(n_labels),
      permutation_(static_cast<std::uint64_t>(blocks.n_blocks()), seed, stream),
      segments_(segments_of(blocks.n_blocks(), n_labels)) {
  before_.reserve(static_cast<std::size_t>((segments_ + 1) * n_labels_));
  std::vector<std::int64_t> counts(static_cast<std::size_t>(n_labels_), 0);
  for (std::int64_t segment = 0; segment < segments_; ++segment) {
    before_.insert(before_.end(), counts.begin(), counts.end());
    visit_segment(segment, [&](std::int64_t, std::size_t label) { ++counts[label]; });
  }
  before_.insert(before_.end(), counts.begin(), counts.end());
}

std::int64_t LabelSequence::bytes(const RowBlocks& blocks, std::int64_t n_labels) {
  constexpr std::int64_t epochs = 3;
  return epochs * (segments_of(blocks.n_blocks(), n_labels) + 1) * n_labels *
         static_cast<std::int64_t>(sizeof(std::int64_t));
}

template <class Body>
void LabelSequence::visit_segment(std::int64_t segment, Body&& body) const {
  const Range places = even_part(blocks_.n_blocks(), segments_, segment);
  for (std::int64_t place = places.begin; place < places.end; ++place) {
    const Range block = blocks_.block(
        static_cast<std::int64_t>(permutation_.at(static_cast<std::uint64_t>(place))));
    for (std::int64_t at = block.begin; at < block.end; ++at) {
      const std::int64_t row = blocks_.row(at);
      const std::int32_t label = labels_[static_cast<std::size_t>(row)];
      if (label >= 0) body(row, static_cast<std::size_t>(label));
    }
  }
}

std::vector<std::vector<std::int64_t>> LabelSequence::rows(std::span<const Range> wanted) const {
  std::vector<Pieces> pieces;
  std::set<std::int64_t> segments;
  for (std::int64_t label = 0; label < n_labels_; ++label) {
    pieces.push_back(pieces_of(wanted[static_cast<std::size_t>(label)], count(label)));
    for (const Range& piece : {pieces.back().first, pieces.back().second}) {
      if (piece.empty()) continue;
      // The last segment that begins at or before the piece's first row; on to the one that ends
      // it.
      std::int64_t low = 0;
      std::int64_t high = segments_ - 1;
      while (low < high) {
        const std::int64_t middle = (low + high + 1) / 2;
        if (before(middle, label) <= piece.begin) {
          low = middle;
        } else {
          high = middle - 1;
        }
      }
      for (; low < segments_ && before(low, label) < piece.end; ++low) {
        if (before(low, label) < before(low + 1, label)) segments.insert(low);
      }
    }
  }

  // What lies in the first and in the second piece of each label, in the sequence's order.
  std::vector<std::vector<std::int64_t>> found(pieces.size());
  std::vector<std::vector<std::int64_t>> later(pieces.size());
  std::vector<std::int64_t> next(pieces.size());
  for (const std::int64_t segment : segments) {
    std::copy_n(before_.begin() + segment * n_labels_, n_labels_, next.begin());
    visit_segment(segment, [&](std::int64_t row, std::size_t label) {
      const std::int64_t number = next[label]++;
      const Pieces& of = pieces[label];
      if (!of.has(number)) return;
      (number >= of.first.begin && number < of.first.end ? found : later)[label].push_back(row);
    });
  }
  for (std::size_t label = 0; label < pieces.size(); ++label) {
    const Range range = wanted[label];
    const std::int64_t all = count(static_cast<std::int64_t>(label));
    if (range.empty() || all == 0) continue;
    std::vector<std::int64_t>& rows = found[label];
    if (range.size() < all) {
      rows.insert(rows.end(), later[label].begin(), later[label].end());
      continue;
    }
    std::vector<std::int64_t> round;
    round.reserve(static_cast<std::size_t>(range.size()));
    for (std::int64_t number = range.begin; number < range.end; ++number) {
      round.push_back(rows[static_cast<std::size_t>(number % all)]);
    }
    rows = std::move(round);
  }
  return found;
}

std::int64_t repeats_of(std::int64_t rows, std::int64_t blocks, std::int64_t taken,
                        std::int64_t block_rows) {
  if (rows == 0) return 1;
  constexpr std::int64_t part = 8;
  const std::int64_t wanted = (block_rows * blocks + part * rows - 1) / (part * rows);
  return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(taken / rows, 1));
}

std::vector<std::int64_t> blocks_with(const RowBlocks& blocks, std::span<const std::int32_t> labels,
                                      std::int64_t n_labels) {
  std::vector<std::int64_t> found(static_cast<std::size_t>(n_labels), 0);
  std::vector<std::int64_t> last(static_cast<std::size_t>(n_labels), -1);
  for (std::int64_t number = 0; number < blocks.n_blocks(); ++number) {
    const Range block = blocks.block(number);
    for (std::int64_t at = block.begin; at < block.end; ++at) {
      const std::int32_t label = labels[static_cast<std::size_t>(blocks.row(at))];
      if (label < 0 || last[static_cast<std::size_t>(label)] == number) continue;
      last[static_cast<std::size_t>(label)] = number;
      ++found[static_cast<std::size_t>(label)];
    }
  }
  return found;
}

}  // namespace cellmill
