#include <algorithm>
#include <cstring>

#include "cellmill/core/error.hpp"
#include "storage/codecs.hpp"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace cellmill {

namespace {

#ifdef __SSE2__
/// Interleaves `Size` planes of `count` bytes, 16 elements at a time; gives the number done. Each
/// round of unpacking pairs plane i with plane i + Size/2, which halves the planes and doubles the
/// unit. Bound by loads and stores.
template <std::size_t Size>
std::size_t interleave_sse2(const std::byte* in, std::byte* out, std::size_t count) {
  std::size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m128i lanes[Size];
    for (std::size_t plane = 0; plane < Size; ++plane) {
      lanes[plane] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + plane * count + i));
    }
    for (std::size_t round = 1; round < Size; round *= 2) {
      __m128i next[Size];
      for (std::size_t k = 0; k < Size / 2; ++k) {
        next[2 * k] = _mm_unpacklo_epi8(lanes[k], lanes[k + Size / 2]);
        next[2 * k + 1] = _mm_unpackhi_epi8(lanes[k], lanes[k + Size / 2]);
      }
      std::copy(next, next + Size, lanes);
    }
    for (std::size_t k = 0; k < Size; ++k) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i * Size + 16 * k), lanes[k]);
    }
  }
  return i;
}
#endif

std::size_t interleave_fast([[maybe_unused]] const std::byte* in, [[maybe_unused]] std::byte* out,
                            [[maybe_unused]] std::size_t count,
                            [[maybe_unused]] std::size_t element_size) {
#ifdef __SSE2__
  if (element_size == 2) return interleave_sse2<2>(in, out, count);
  if (element_size == 4) return interleave_sse2<4>(in, out, count);
  if (element_size == 8) return interleave_sse2<8>(in, out, count);
#endif
  return 0;
}

template <class Word>
void swap_words(std::span<std::byte> elements, Word (*swap)(Word)) {
  for (std::size_t i = 0; i + sizeof(Word) <= elements.size(); i += sizeof(Word)) {
    Word word;
    std::memcpy(&word, elements.data() + i, sizeof word);
    word = swap(word);
    std::memcpy(elements.data() + i, &word, sizeof word);
  }
}

void check_sizes(std::size_t in, std::size_t out, std::size_t element_size) {
  if (in != out || element_size == 0) {
    throw input_error("shuffled data have " + std::to_string(in) + " bytes, expected " +
                      std::to_string(out));
  }
}

}  // namespace

void unshuffle(std::span<const std::byte> in, std::span<std::byte> out, std::size_t element_size) {
  check_sizes(in.size(), out.size(), element_size);
  const std::size_t count = in.size() / element_size;
  const std::size_t done = interleave_fast(in.data(), out.data(), count, element_size);
  for (std::size_t plane = 0; plane < element_size; ++plane) {
    const std::byte* const from = in.data() + plane * count;
    for (std::size_t i = done; i < count; ++i) out[i * element_size + plane] = from[i];
  }
  const std::size_t whole = count * element_size;
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(whole), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(whole));
}

void byte_shuffle(std::span<const std::byte> in, std::span<std::byte> out,
                  std::size_t element_size) {
  check_sizes(in.size(), out.size(), element_size);
  const std::size_t count = in.size() / element_size;
  for (std::size_t plane = 0; plane < element_size; ++plane) {
    std::byte* const to = out.data() + plane * count;
    for (std::size_t i = 0; i < count; ++i) to[i] = in[i * element_size + plane];
  }
  const std::size_t whole = count * element_size;
  std::copy(in.begin() + static_cast<std::ptrdiff_t>(whole), in.end(),
            out.begin() + static_cast<std::ptrdiff_t>(whole));
}

void swap_bytes(std::span<std::byte> elements, std::size_t element_size) {
  switch (element_size) {
    case 1:
      break;
    case 2:
      swap_words<std::uint16_t>(elements, [](std::uint16_t x) { return __builtin_bswap16(x); });
      break;
    case 4:
      swap_words<std::uint32_t>(elements, [](std::uint32_t x) { return __builtin_bswap32(x); });
      break;
    case 8:
      swap_words<std::uint64_t>(elements, [](std::uint64_t x) { return __builtin_bswap64(x); });
      break;
    default:
      for (std::size_t i = 0; element_size > 0 && i + element_size <= elements.size();
           i += element_size) {
        std::reverse(elements.data() + i, elements.data() + i + element_size);
      }
  }
}

}  // namespace cellmill
