#pragma once

#include <memory>

#include "cellmill/anndata/matrix_source.hpp"

namespace cellmill {

/// A CSC matrix: rows come by a transpose through scratch.
/// \throws Error(input) naming what does not fit together
[[nodiscard]] std::unique_ptr<MatrixSource> open_csc_matrix(const Group& group);

}  // namespace cellmill
