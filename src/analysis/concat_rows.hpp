#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "analysis/concat_inputs.hpp"
#include "analysis/segment_plan.hpp"
#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/raw_vector.hpp"

namespace cellmill {

/// Some rows of one source that are copied together.
struct CopyBlock {
  std::size_t source = 0;
  Range rows;
};

/// This rank's rows in blocks of about `bytes` of memory each, whole chunks of a dense part where
/// these are not much larger.
[[nodiscard]] std::vector<CopyBlock> copy_blocks(const JoinedMatrix& matrix,
                                                 const SegmentPlan& plan, std::int64_t bytes);

/// Most bytes that a block takes from its fetch to what is written of it.
[[nodiscard]] std::int64_t block_cost(const JoinedMatrix& matrix, const CopyBlock& block);

/// A block's rows of a sparse matrix, with the output's columns. \param fetched of a sparse part
[[nodiscard]] CsrRows<double> sparse_rows(const JoinedMatrix& matrix, const CopyBlock& block,
                                          const FetchedRows& fetched);

/// How many values `sparse_rows` will give, without fetching a sparse part's values.
[[nodiscard]] std::int64_t count_rows(const JoinedMatrix& matrix, const CopyBlock& block);

/// A block's rows of an array, as elements of its type: NaN where the source has no such column.
[[nodiscard]] RawVector<std::byte> dense_rows(const JoinedMatrix& matrix, const CopyBlock& block);

}  // namespace cellmill
