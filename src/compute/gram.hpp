#pragma once

#include <memory>

#include "cellmill/compute/backend.hpp"

namespace cellmill {

struct CpuKernels;

/// Row by row in double: slow, and what the others are tested against.
[[nodiscard]] std::unique_ptr<GramAccumulator> make_plain_gram(const GramOptions& options);

/// Dense tile for the hot genes, gene-major rows for the cold ones.
[[nodiscard]] std::unique_ptr<GramAccumulator> make_blocked_gram(const GramOptions& options,
                                                                 const CpuKernels& kernels);

}  // namespace cellmill
