#include "cellmill/compute/gene_tally.hpp"
#include "moments_kernels.hpp"
#include "moments_loops.hpp"

namespace cellmill {

namespace {

void tally(GeneTally* tallies, const std::int32_t* indices, const double* x, std::int64_t n,
           std::int64_t /*readable*/) {
  for (std::int64_t i = 0; i < n; ++i) {
    GeneTally& gene = tallies[indices[i]];
    gene.sum += x[i];
    gene.sum_squares += x[i] * x[i];
    gene.max = x[i] > gene.max ? x[i] : gene.max;
    gene.count += x[i] != 0 ? 1 : 0;
  }
}

constexpr MomentsKernels kPlain = {&MomentsLoops<CpuLevel::plain>::row_sum,
                                   &MomentsLoops<CpuLevel::plain>::scale, &tally};

}  // namespace

const MomentsKernels& moments_kernels([[maybe_unused]] CpuLevel level) {
#ifdef CELLMILL_X86_KERNELS
  // Wider vectors have nothing to add: a tally is one 256-bit vector.
  if (level != CpuLevel::plain) return kMomentsAvx2;
#endif
  return kPlain;
}

}  // namespace cellmill
