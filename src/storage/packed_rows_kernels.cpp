#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

const PackedKernels& packed_kernels(CpuLevel level) {
#ifdef CELLMILL_X86_KERNELS
  const CpuLevel here = resolve_cpu_level(level);
  const bool bytes = __builtin_cpu_supports("avx512vbmi") != 0 &&
                     __builtin_cpu_supports("avx512vbmi2") != 0 &&
                     __builtin_cpu_supports("avx512vnni") != 0;
  if (here == CpuLevel::avx512 && bytes) return packed_avx512;
  if (here >= CpuLevel::avx2 && __builtin_cpu_supports("bmi2") != 0) return packed_avx2;
#else
  (void)level;
#endif
  return packed_plain;
}

}  // namespace cellmill
