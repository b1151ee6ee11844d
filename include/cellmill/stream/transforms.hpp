#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"

namespace cellmill {

/// Keeps the rows with `keep[r]`, in place.
void select_rows(CsrChunk& chunk, const std::vector<bool>& keep);

/// Keeps the columns with `slot[column] >= 0`, renamed to `slot[column]`, in place; rows stay
/// sorted by column.
template <class Value>
void select_columns(CsrRows<Value>& chunk, std::span<const std::int32_t> slot,
                    std::int32_t n_slots);

/// Sorts each row by column where it is not sorted already. Instantiated, both, for float, double.
template <class Value>
void sort_rows(CsrRows<Value>& chunk);

}  // namespace cellmill
