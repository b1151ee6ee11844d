#include <cstring>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"

namespace cellmill {

namespace {

[[noreturn]] void corrupt(const char* why) { throw input_error(std::string("lzf data ") + why); }

}  // namespace

// The format: a control byte below 32 is followed by that many + 1 literal bytes; any other holds a
// length − 2 in its upper 3 bits (7: the next byte is added) and the upper 5 bits of a distance − 1
// whose lower 8 bits follow.
void lzf_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  const std::byte* from = in.data();
  const std::byte* const from_end = from + in.size();
  std::byte* to = out.data();
  std::byte* const to_end = to + out.size();
  while (from != from_end) {
    const auto control = std::to_integer<std::size_t>(*from++);
    if (control < 32) {
      const std::size_t length = control + 1;
      if (length > static_cast<std::size_t>(from_end - from)) corrupt("end early");
      if (length > static_cast<std::size_t>(to_end - to)) corrupt("decode to more than expected");
      std::memcpy(to, from, length);
      from += length;
      to += length;
      continue;
    }
    std::size_t length = control >> 5;
    if (length == 7) {
      if (from == from_end) corrupt("end early");
      length += std::to_integer<std::size_t>(*from++);
    }
    length += 2;
    if (from == from_end) corrupt("end early");
    const std::size_t distance = ((control & 31) << 8 | std::to_integer<std::size_t>(*from++)) + 1;
    if (distance > static_cast<std::size_t>(to - out.data())) {
      corrupt("refer to bytes before their start");
    }
    if (length > static_cast<std::size_t>(to_end - to)) corrupt("decode to more than expected");
    const std::byte* back = to - distance;
    if (distance >= length) {
      std::memcpy(to, back, length);
      to += length;
    } else {
      for (std::size_t i = 0; i < length; ++i) *to++ = *back++;  // overlaps: repeats itself
    }
  }
  if (to != to_end) corrupt("decode to fewer bytes than expected");
}

}  // namespace cellmill
