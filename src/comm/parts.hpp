#pragma once

#include <algorithm>
#include <cstddef>

namespace cellmill {

/// Calls `each(begin, count)` for consecutive parts of [0, total) of at most `limit` elements. From
/// the length alone, so ranks with equal lengths make the same calls.
template <class Each>
void for_each_part(std::size_t total, std::size_t limit, Each&& each) {
  for (std::size_t begin = 0; begin < total; begin += limit) {
    each(begin, std::min(limit, total - begin));
  }
}

}  // namespace cellmill
