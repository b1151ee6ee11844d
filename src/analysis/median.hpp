#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/comm/communicator.hpp"

namespace cellmill {

/// **Collective.** The median of the positive values of each group over all ranks (even count: the
/// mean of the middle two; none: 0). `values` stay where they are: six rounds of all-reduced
/// histograms of their bits find the middle ones. \param group of each value, in [0, n_groups);
/// values are finite and ≥ 0
[[nodiscard]] std::vector<double> medians_of_positive(std::span<const double> values,
                                                      std::span<const std::int32_t> group,
                                                      std::int32_t n_groups, Communicator& comm);

}  // namespace cellmill
