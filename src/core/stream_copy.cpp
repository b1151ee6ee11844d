#include "cellmill/core/stream_copy.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace cellmill {

#if defined(__SSE2__)

void copy_past_caches(void* to, const void* from, std::size_t bytes) {
  constexpr std::size_t line = 64;
  auto* out = static_cast<std::byte*>(to);
  const auto* in = static_cast<const std::byte*>(from);
  // Lines that are written in part stay in the cache: their other part has another writer.
  const std::size_t head =
      std::min(bytes, (line - reinterpret_cast<std::uintptr_t>(out) % line) % line);
  if (head > 0) std::memcpy(out, in, head);
  std::size_t at = head;
  for (; at + line <= bytes; at += line) {
    const auto* from_line = reinterpret_cast<const __m128i*>(in + at);
    auto* to_line = reinterpret_cast<__m128i*>(out + at);
    const __m128i a = _mm_loadu_si128(from_line);
    const __m128i b = _mm_loadu_si128(from_line + 1);
    const __m128i c = _mm_loadu_si128(from_line + 2);
    const __m128i d = _mm_loadu_si128(from_line + 3);
    _mm_stream_si128(to_line, a);
    _mm_stream_si128(to_line + 1, b);
    _mm_stream_si128(to_line + 2, c);
    _mm_stream_si128(to_line + 3, d);
  }
  if (at < bytes) std::memcpy(out + at, in + at, bytes - at);
}

void finish_copies() { _mm_sfence(); }

#else

void copy_past_caches(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void finish_copies() {}

#endif

}  // namespace cellmill
