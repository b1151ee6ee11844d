#include "vector_kernels.hpp"

namespace cellmill {

const CpuKernels kKernelsAvx512 = VectorKernels<16>::kTable;

}  // namespace cellmill
