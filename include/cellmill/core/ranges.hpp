#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace cellmill {

/// Half-open range of rows (cells), elements or bytes; the context says which.
struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  [[nodiscard]] std::int64_t size() const { return end - begin; }
  [[nodiscard]] bool empty() const { return end <= begin; }
  bool operator==(const Range&) const = default;
};

/// Ranges of these lengths, one after the other from 0.
[[nodiscard]] inline std::vector<Range> consecutive(std::span<const std::int64_t> lengths) {
  std::vector<Range> ranges;
  std::int64_t at = 0;
  for (const std::int64_t length : lengths) {
    ranges.push_back({at, at + length});
    at += length;
  }
  return ranges;
}

/// Part `index` of `parts` nearly equal parts of [0, total): disjoint, complete, in order.
[[nodiscard]] inline Range even_part(std::int64_t total, std::int64_t parts, std::int64_t index) {
  const std::int64_t base = total / parts;
  const std::int64_t extra = total % parts;
  const std::int64_t begin = index * base + (index < extra ? index : extra);
  return {begin, begin + base + (index < extra ? 1 : 0)};
}

}  // namespace cellmill
