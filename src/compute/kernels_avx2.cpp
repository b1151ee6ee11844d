#include "vector_kernels.hpp"

namespace cellmill {

const CpuKernels kKernelsAvx2 = VectorKernels<8>::kTable;

}  // namespace cellmill
