#pragma once

#include <memory>
#include <string>

#include "cellmill/anndata/matrix_source.hpp"

namespace cellmill {

/// A CSR matrix: a group of `data`, `indices` and `indptr`, with the attribute `shape`.
/// \throws Error(input) naming what does not fit together
[[nodiscard]] std::unique_ptr<MatrixSource> open_csr_matrix(const Group& group);

}  // namespace cellmill
