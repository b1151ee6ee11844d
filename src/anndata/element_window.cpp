#include "anndata/element_window.hpp"

#include <algorithm>
#include <cstring>

namespace cellmill {

ElementWindow::ElementWindow(const Array& array, const FetchedRange& fetched,
                             RawVector<std::byte>& room)
    : array_(array),
      fetched_(fetched),
      room_(room),
      width_(dtype_size(array.info().dtype)),
      held_{fetched.range.begin, fetched.range.begin} {}

const std::byte* ElementWindow::elements(Range wanted) {
  if (wanted.end > held_.end) {
    // What is still needed moves to the front: less than a row, for a chunk is only decoded when
    // those before it are used up.
    if (wanted.begin > held_.begin) {
      const std::int64_t begin = std::min(wanted.begin, held_.end);
      if (begin < held_.end) {
        std::memmove(room_.data(),
                     room_.data() + static_cast<std::size_t>(begin - held_.begin) * width_,
                     static_cast<std::size_t>(held_.end - begin) * width_);
      }
      held_.begin = begin;
    }
    decode_until(wanted.end);
  }
  return room_.data() + static_cast<std::size_t>(wanted.begin - held_.begin) * width_;
}

void ElementWindow::decode_until(std::int64_t end) {
  const std::int64_t length = array_.info().chunk_shape[0];
  while (held_.end < end) {
    const EncodedChunk& chunk = fetched_.chunks[next_chunk_++];
    const std::int64_t first = chunk.chunk * length;
    const Range part{held_.end - first, std::min(fetched_.range.end - first, length)};
    const auto at = static_cast<std::size_t>(held_.end - held_.begin) * width_;
    const auto bytes = static_cast<std::size_t>(part.size()) * width_;
    if (room_.size() < at + bytes) room_.resize(at + bytes);
    array_.decode_part(chunk, part, std::span(room_).subspan(at, bytes));
    held_.end = first + part.end;
  }
}

}  // namespace cellmill
