#include "input.hpp"
#include "storage/codecs.hpp"

// Every decoder: its number, the length expected, then its bytes.

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace cellmill;
  FuzzInput input(data, size);
  const std::uint8_t codec = input.byte();
  std::vector<std::byte> out(input.number());
  // Of exactly this length, so that the sanitizer sees every byte beyond.
  const std::vector<std::byte> in(input.rest().begin(), input.rest().end());
  constexpr std::size_t most = 1 << 20;
  const auto check = [&](const Bytes& bytes) {
    if (bytes.size() > most) __builtin_trap();
  };
  const auto unsized = [&](auto decode) { may_refuse([&] { check(decode(in, most)); }); };
  may_refuse([&] {
    switch (codec % 11) {
      case 0:
        unsized(inflate_zlib_unsized);
        return inflate_zlib(in, out);
      case 1:
        unsized(inflate_gzip_unsized);
        return inflate_gzip(in, out);
      case 2:
        return inflate_raw(in, out);
      case 3:
        unsized(zstd_decode_unsized);
        return zstd_decode(in, out);
      case 4:
        unsized(blosc_decode_unsized);
        return blosc_decode(in, out);
      case 5:
        return lz4_block_decode(in, out);
      case 6:
        unsized(lz4_sized_decode_unsized);
        return lz4_sized_decode(in, out);
      case 7:
        return lzf_decode(in, out);
      case 8: {
        if (in.empty()) return;
        const std::span<const std::byte> elements = std::span(in).subspan(1);
        Bytes shuffled(elements.size());
        Bytes back(elements.size());
        const auto element_size = std::to_integer<std::size_t>(in[0]);
        byte_shuffle(elements, shuffled, element_size);
        unshuffle(shuffled, back, element_size);
        if (!std::equal(back.begin(), back.end(), elements.begin())) __builtin_trap();
        return;
      }
      case 9:
        (void)(crc32c(in) + crc32(in) + adler32(in));
        return;
      default:
        std::copy_n(in.begin(), std::min(in.size(), out.size()), out.begin());
        return swap_bytes(out, codec / 11);
    }
  });
  return 0;
}
