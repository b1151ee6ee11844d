#include <cstring>

#include "input.hpp"
#include "storage/codecs.hpp"

// Decoders that stop early, or begin late: a codec's number, the length of the whole, where the
// part begins, its length, then the bytes. Where the whole decodes, so does the part, to the same.

namespace {

using namespace cellmill;

struct Encoded {
  std::span<const std::byte> bytes;
  std::size_t whole = 0;
};

template <class Decode>
std::optional<std::vector<std::byte>> decoded(std::size_t size, Decode decode) {
  std::optional<std::vector<std::byte>> out(size);
  try {
    decode(std::span(*out));
  } catch (const Error&) {
    out.reset();
  }
  return out;
}

template <class Whole, class Part>
void compare(const Encoded& in, std::size_t begin, std::size_t size, Whole decode_whole,
             Part decode_part) {
  const auto whole = decoded(in.whole, [&](auto out) { decode_whole(in.bytes, out); });
  const auto part = decoded(size, decode_part);
  if (!whole || size == 0) return;
  if (!part || std::memcmp(part->data(), whole->data() + begin, size) != 0) __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  const std::uint8_t codec = input.byte();
  const std::size_t whole = input.number();
  const std::size_t begin = input.number() % (whole + 1);
  const std::size_t length = input.number() % (whole - begin + 1);
  // Of exactly this length, so that the sanitizer sees every byte beyond.
  const std::vector<std::byte> bytes(input.rest().begin(), input.rest().end());
  const Encoded in{bytes, whole};
  switch (codec % 4) {
    case 0:
      compare(in, begin, length, blosc_decode,
              [&](auto out) { blosc_decode_part(bytes, whole, begin, out); });
      break;
    case 1:
      compare(in, 0, length, inflate_zlib,
              [&](auto out) { inflate_zlib_prefix(bytes, out, whole); });
      break;
    case 2:
      compare(in, 0, length, inflate_gzip,
              [&](auto out) { inflate_gzip_prefix(bytes, out, whole); });
      break;
    default:
      compare(in, 0, length, lzf_decode, [&](auto out) { lzf_decode_prefix(bytes, out); });
  }
  return 0;
}
