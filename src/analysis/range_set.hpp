#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <vector>

#include "cellmill/core/ranges.hpp"

namespace cellmill {

/// Numbers, as disjoint ranges in order; neighbours are one range.
class RangeSet {
 public:
  void add(Range range) {
    if (range.empty()) return;
    // The first range that ends where this one begins, or later: from there on they may touch.
    auto at =
        std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                         [](const Range& one, std::int64_t begin) { return one.end < begin; });
    while (at != ranges_.end() && at->begin <= range.end) {
      range = {std::min(range.begin, at->begin), std::max(range.end, at->end)};
      at = ranges_.erase(at);
    }
    ranges_.insert(at, range);
  }
  void add(const RangeSet& other) {
    for (const Range& range : other.ranges_) add(range);
  }

  [[nodiscard]] bool contains(Range range) const {
    if (range.empty()) return true;
    const auto after =
        std::upper_bound(ranges_.begin(), ranges_.end(), range.begin,
                         [](std::int64_t begin, const Range& one) { return begin < one.begin; });
    return after != ranges_.begin() && std::prev(after)->end >= range.end;
  }
  [[nodiscard]] bool contains(std::int64_t number) const { return contains({number, number + 1}); }

  [[nodiscard]] std::int64_t size() const {
    std::int64_t size = 0;
    for (const Range& range : ranges_) size += range.size();
    return size;
  }
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  bool operator==(const RangeSet&) const = default;

 private:
  std::vector<Range> ranges_;
};

}  // namespace cellmill
