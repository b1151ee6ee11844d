#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/train/make_vocabulary.hpp"
#include "train/input_pass.hpp"

namespace cellmill {

/// What the kept cells say of each gene.
struct GeneCounts {
  std::vector<std::int64_t> n_cells;  ///< where it is above 0
  std::vector<double> medians;        ///< as Medians::nonzero; NaN: no cell has it. Or empty
  int readings = 0;                   ///< that it took
};

/// Reads the inputs once, or with medians as often as these take (MedianSearch).
/// \throws Error(input) naming the row of a value that is not finite or, with medians, no count
[[nodiscard]] GeneCounts count_genes(const InputPass& context,
                                     MakeVocabularyOptions::Medians medians);

}  // namespace cellmill
