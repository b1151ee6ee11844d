#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/random.hpp"

namespace cellmill {

/// Random rows of counts, some without any; row i is the same whichever rows are made with it.
/// \param largest count
inline CsrChunk made_rows(Range rows, std::int32_t n_cols, double density, float largest) {
  CsrChunk made;
  made.first_row = rows.begin;
  made.n_cols = n_cols;
  made.indptr.push_back(0);
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const CounterRng rng(11, static_cast<std::uint64_t>(row));
    const double here = row % 7 == 3 ? 0 : density;
    for (std::int32_t column = 0; column < n_cols; ++column) {
      const auto counter = static_cast<std::uint64_t>(column);
      if (rng.uniform(2 * counter) >= here) continue;
      made.indices.push_back(column);
      made.values.push_back(1.0F + static_cast<float>(rng.below(
                                       2 * counter + 1, static_cast<std::uint64_t>(largest))));
    }
    made.indptr.push_back(static_cast<std::int64_t>(made.indices.size()));
  }
  return made;
}

}  // namespace cellmill
