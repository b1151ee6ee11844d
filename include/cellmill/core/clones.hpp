#pragma once

// CELLMILL_CLONES in front of a function: compiled for AVX2 too, and the version chosen at run
// time. For integer work only, which gives the same bits from both.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CELLMILL_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CELLMILL_CLONES
#endif
