#pragma once

#include <cstddef>

#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/array.hpp"

namespace cellmill {

/// What was fetched of a 1-D array, decoded as it is asked for, from the front to the back: each
/// chunk once, and only a chunk and a row of elements at a time, which stay in the cache.
class ElementWindow {
 public:
  /// \param room what decoded elements are kept in; used again, because fresh pages are dear
  ElementWindow(const Array& array, const FetchedRange& fetched, RawVector<std::byte>& room);

  /// Native bytes of elements [wanted), numbered as in the array: good until the next call. Must
  /// not begin before the elements asked for last. \throws Error(input) as Array::decode_part does
  [[nodiscard]] const std::byte* elements(Range wanted);

 private:
  void decode_until(std::int64_t end);

  const Array& array_;
  const FetchedRange& fetched_;
  RawVector<std::byte>& room_;
  std::size_t width_;
  Range held_;                  ///< elements in `room_`
  std::size_t next_chunk_ = 0;  ///< of those fetched
};

}  // namespace cellmill
