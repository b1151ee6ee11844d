#pragma once

#include <cstdint>

#include "train/input_pass.hpp"
#include "train/keyed_permutation.hpp"
#include "train/matrix_writer.hpp"
#include "train/row_buckets.hpp"

namespace cellmill {

/// Of the columns of so many genes.
[[nodiscard]] DType index_dtype_for(std::int32_t n_genes);

/// Elements of a store's kept cells, about: those stored, less the genes left out (from a sample).
[[nodiscard]] std::int64_t expected_nonzeros(const InputRows& rows);

/// Reads the inputs once, from the writer's next row on, and writes the cells in their order.
void write_in_order(const InputPass& context, MatrixWriter& writer);

/// Reads the inputs once and deals the cells to buckets of neighbouring rows of the store.
void deal_rows(const InputPass& context, const KeyedPermutation& shuffle, RowBuckets& buckets);
/// Writes the buckets one after the other, each in its order, from the writer's next row on.
void write_buckets(const InputPass& context, const RowBuckets& buckets, MatrixWriter& writer);

}  // namespace cellmill
