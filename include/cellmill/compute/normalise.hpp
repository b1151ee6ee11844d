#pragma once

#include <cstdint>
#include <span>

namespace cellmill {

/// In place, v becomes log1p(v · factor of its row): computed in double, once for each distinct
/// small count of a row, and rounded to float.
/// \param indptr rows + 1; need not start at 0
/// \param values of the rows, indexed by indptr's values less indptr[0]
/// \param factors one a row: target / sum of the row
void normalise_log1p(std::span<const std::int64_t> indptr, std::span<float> values,
                     std::span<const double> factors);

}  // namespace cellmill
