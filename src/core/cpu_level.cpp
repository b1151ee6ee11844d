#include "cellmill/core/cpu_level.hpp"

#include "cellmill/core/error.hpp"

namespace cellmill {

bool cpu_has(CpuLevel level) {
  switch (level) {
    case CpuLevel::plain:
    case CpuLevel::best:
      return true;
#ifdef CELLMILL_X86_KERNELS
    case CpuLevel::avx2:
      return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0;
    case CpuLevel::avx512:
      return cpu_has(CpuLevel::avx2) && __builtin_cpu_supports("avx512f") != 0 &&
             __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
             __builtin_cpu_supports("avx512vl") != 0;
#else
    case CpuLevel::avx2:
    case CpuLevel::avx512:
      return false;
#endif
  }
  return false;
}

CpuLevel resolve_cpu_level(CpuLevel level) {
  if (level == CpuLevel::best) {
    if (cpu_has(CpuLevel::avx512)) return CpuLevel::avx512;
    return cpu_has(CpuLevel::avx2) ? CpuLevel::avx2 : CpuLevel::plain;
  }
  if (!cpu_has(level)) {
    throw input_error("CPU kernels: found a processor without " + cpu_level_name(level) +
                      ", expected one that has it");
  }
  return level;
}

std::string cpu_level_name(CpuLevel level) {
  switch (level) {
    case CpuLevel::plain:
      return "plain";
    case CpuLevel::avx2:
      return "avx2";
    case CpuLevel::avx512:
      return "avx512";
    case CpuLevel::best:
      return "best";
  }
  return "unknown";
}

}  // namespace cellmill
