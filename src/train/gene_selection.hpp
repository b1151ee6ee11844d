#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/train/batch.hpp"
#include "cellmill/train/loader.hpp"
#include "cellmill/train/tokenizer.hpp"

namespace cellmill {

/// The columns that a batch keeps, rising. \param rows CSR
[[nodiscard]] std::vector<std::int64_t> select_columns(const GeneSelection& selection,
                                                       const BatchMatrix& rows,
                                                       const TokenDraws& draws);

/// Leaves a CSR matrix these columns, in their order, in place; \param layout in which it then is
void keep_columns(BatchMatrix& matrix, std::span<const std::int64_t> columns, BatchLayout layout);

}  // namespace cellmill
