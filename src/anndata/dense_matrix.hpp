#pragma once

#include <memory>

#include "cellmill/anndata/matrix_source.hpp"

namespace cellmill {

/// A dense matrix: what is not zero in it (NaN is not), sorted into rows through scratch.
/// \throws Error(input) if it is not 2-D or holds no numbers
[[nodiscard]] std::unique_ptr<MatrixSource> open_dense_matrix(std::unique_ptr<Array> array);

}  // namespace cellmill
