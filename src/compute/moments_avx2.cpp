// Compiled with -mavx2 and without FMA, so that the bits are those of the plain version.
#include <immintrin.h>

#include "cellmill/compute/gene_tally.hpp"
#include "moments_kernels.hpp"
#include "moments_loops.hpp"

namespace cellmill {

namespace {

// A tally is loaded, changed and stored as one vector. Bound by misses: the tallies of 60,000 genes
// are 2 MB, and the processor by itself looks only some 40 non-zeros ahead.
void tally(GeneTally* tallies, const std::int32_t* indices, const double* x, std::int64_t n,
           std::int64_t readable) {
  constexpr std::int64_t kAhead = 64;
  const __m256d one = _mm256_set1_pd(1.0);
  const __m256d zero = _mm256_setzero_pd();
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int64_t ahead = i + kAhead < readable ? i + kAhead : readable - 1;
    _mm_prefetch(reinterpret_cast<const char*>(tallies + indices[ahead]), _MM_HINT_T0);
    auto* at = reinterpret_cast<double*>(tallies + indices[i]);
    const __m256d all = _mm256_broadcast_sd(x + i);
    // {x, x·x, x, x ≠ 0}
    const __m256d products = _mm256_mul_pd(all, _mm256_blend_pd(one, all, 0b0010));
    const __m256d present = _mm256_and_pd(one, _mm256_cmp_pd(all, zero, _CMP_NEQ_OQ));
    const __m256d terms = _mm256_blend_pd(products, present, 0b1000);
    const __m256d before = _mm256_load_pd(at);
    _mm256_store_pd(
        at, _mm256_blend_pd(_mm256_add_pd(before, terms), _mm256_max_pd(before, all), 0b0100));
  }
}

}  // namespace

const MomentsKernels kMomentsAvx2 = {&MomentsLoops<CpuLevel::avx2>::row_sum,
                                     &MomentsLoops<CpuLevel::avx2>::scale, &tally};

}  // namespace cellmill
