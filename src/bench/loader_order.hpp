#pragma once

#include <cstdint>
#include <memory>

#include "cellmill/bench/loader.hpp"

namespace cellmill {

/// The order that the options ask for, of one lane, over all rows.
[[nodiscard]] std::shared_ptr<const Order> bench_order(const Dataset& data,
                                                       const LoaderBenchOptions& options,
                                                       std::int64_t batch_size);

}  // namespace cellmill
