#include "cellmill/compute/normalise.hpp"

#include <fmt/format.h>

#include "cellmill/core/error.hpp"
#include "log_table.hpp"

namespace cellmill {

void normalise_log1p(std::span<const std::int64_t> indptr, std::span<float> values,
                     std::span<const double> factors) {
  if (indptr.empty()) return;
  if (factors.size() + 1 != indptr.size()) {
    throw input_error(
        fmt::format("normalise: found {} factors for {} rows", factors.size(), indptr.size() - 1));
  }
  LogTable log_of;
  for (std::size_t row = 0; row < factors.size(); ++row) {
    log_of.start_row(factors[row]);
    const auto begin = static_cast<std::size_t>(indptr[row] - indptr[0]);
    const auto end = static_cast<std::size_t>(indptr[row + 1] - indptr[0]);
    for (std::size_t k = begin; k < end; ++k) values[k] = static_cast<float>(log_of(values[k]));
  }
}

}  // namespace cellmill
