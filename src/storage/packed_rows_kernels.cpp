#include "storage/packed_rows_kernels.hpp"

namespace cellmill {

const PackedKernels& packed_kernels(CpuLevel /*level*/) { return kPackedPlain; }

}  // namespace cellmill
