#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "cellmill/compute/backend.hpp"

namespace cellmill {

struct CpuKernels;

/// In double, from loadings in double: what the other is tested against.
[[nodiscard]] std::unique_ptr<Projector> make_plain_projector(std::span<const double> loadings,
                                                              std::int32_t n_genes, std::int32_t k,
                                                              std::span<const double> offset);

/// Single precision, loadings in panels.
[[nodiscard]] std::unique_ptr<Projector> make_panel_projector(std::span<const double> loadings,
                                                              std::int32_t n_genes, std::int32_t k,
                                                              std::span<const double> offset,
                                                              const CpuKernels& kernels);

}  // namespace cellmill
