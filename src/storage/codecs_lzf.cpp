#include <algorithm>
#include <cstring>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"

namespace cellmill {

namespace {

[[noreturn]] void corrupt(const char* why) { throw input_error(std::string("lzf data ") + why); }

constexpr std::size_t step = 8;
constexpr std::size_t slack = 32;  // bytes that may be written past a run, where there is room

/// `length` bytes from `distance` back, which may overlap: then they repeat themselves. Writes up
/// to `step` − 1 more.
void copy_back(std::byte* to, std::size_t distance, std::size_t length) {
  const std::byte* from = to - distance;
  std::size_t i = 0;
  if (distance < step) {
    // The first bytes one by one; after them whole periods lie as far back as a step needs.
    for (; i < step; ++i) to[i] = from[i];
    from = to - (step + distance - 1) / distance * distance;
  }
  for (; i < length; i += step) std::memcpy(to + i, from + i, step);
}

enum class Stop { at_end_of_input, at_end_of_room };

// The format: a control byte below 32 is followed by that many + 1 literal bytes; any other holds a
// length − 2 in its upper 3 bits (7: the next byte is added) and the upper 5 bits of a distance − 1
// whose lower 8 bits follow. Runs are short: copying more than there is, where there is room for
// it, is quicker than a call of memcpy.
template <Stop when>
void decode(std::span<const std::byte> in, std::span<std::byte> out) {
  const std::byte* from = in.data();
  const std::byte* const from_end = from + in.size();
  std::byte* to = out.data();
  std::byte* const to_end = to + out.size();
  /// The run's bytes that are wanted.
  const auto fitting = [&](std::size_t length) {
    const auto room = static_cast<std::size_t>(to_end - to);
    if (length > room && when == Stop::at_end_of_input) corrupt("decode to more than expected");
    return std::min(length, room);
  };
  while (from != from_end) {
    if (when == Stop::at_end_of_room && to == to_end) return;
    const auto control = std::to_integer<std::size_t>(*from++);
    if (control < 32) {
      const std::size_t length = control + 1;
      const auto left = static_cast<std::size_t>(from_end - from);
      if (length > left) corrupt("end early");
      if (left >= slack && static_cast<std::size_t>(to_end - to) >= slack) {
        std::memcpy(to, from, slack);
        to += length;
      } else {
        const std::size_t wanted = fitting(length);
        std::memcpy(to, from, wanted);
        to += wanted;
      }
      from += length;
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
    if (length + slack <= static_cast<std::size_t>(to_end - to)) {
      copy_back(to, distance, length);
      to += length;
    } else {
      const std::byte* back = to - distance;
      for (std::size_t i = fitting(length); i > 0; --i) *to++ = *back++;
    }
  }
  if (to != to_end) corrupt("decode to fewer bytes than expected");
}

}  // namespace

void lzf_decode(std::span<const std::byte> in, std::span<std::byte> out) {
  decode<Stop::at_end_of_input>(in, out);
}

void lzf_decode_prefix(std::span<const std::byte> in, std::span<std::byte> out) {
  decode<Stop::at_end_of_room>(in, out);
}

}  // namespace cellmill
