#pragma once

#include <cstdint>
#include <span>

#include "cellmill/anndata/csr_chunk.hpp"

namespace cellmill {

/// Whether the columns of one row rise strictly and lie in [0, n_cols): nothing to mend. One sweep
/// that compilers turn into vector code; bound by reading the indices.
[[nodiscard]] bool is_canonical_row(std::span<const std::int32_t> columns, std::int32_t n_cols);

/// Makes every row canonical: columns sorted, values of the same column added up in the order in
/// which they were stored, as scipy does. Rows that are canonical cost one sweep.
/// \throws Error(input) for a column outside [0, n_cols), naming the row
void make_canonical(CsrChunk& chunk);

}  // namespace cellmill
