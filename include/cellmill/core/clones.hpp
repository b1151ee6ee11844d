#pragma once

// CELLMILL_CLONES in front of a function: compiled for AVX2 too, and the version chosen at run
// time; CELLMILL_WIDE_CLONES: for AVX-512 too, which multiplies 64 bits and gathers. For work that
// gives the same bits from all of them: on integers, and comparisons.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CELLMILL_CLONES __attribute__((target_clones("avx2", "default")))
#define CELLMILL_WIDE_CLONES __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define CELLMILL_CLONES
#define CELLMILL_WIDE_CLONES
#endif
