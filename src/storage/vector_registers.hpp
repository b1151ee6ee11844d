#pragma once

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace cellmill {

/// To be called after ISA-L: its AVX code leaves the upper halves of the vector registers in use,
/// and while they are, SSE code, which is what compilers make of plain loops, takes up to four
/// times as long (Zen 5; other processors mix the two at other costs).
inline void clear_upper_halves() {
#if defined(__AVX__)
  _mm256_zeroupper();
#elif defined(__x86_64__)
  static const bool has_avx = __builtin_cpu_supports("avx") != 0;
  if (has_avx) __asm__ volatile("vzeroupper" ::: "memory");
#endif
}

}  // namespace cellmill
