#include "cellmill/compute/normalise.hpp"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <cmath>
#include <vector>

#include "cellmill/core/clones.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

/// Counts below it have their logarithm computed once a row: counts are few and distinct ones
/// fewer, and log1p costs more than all else that happens to a value.
constexpr std::uint32_t n_small = 256;

/// Of each value itself if it is a small whole number, otherwise n_small.
CELLMILL_CLONES void find_small(const float* values, std::size_t count, std::int32_t* small) {
  // A sum with 2^23 has the nearest whole number in its lower bits; without a branch.
  constexpr float bias = 8'388'608.0F;
  constexpr std::uint32_t bias_bits = std::bit_cast<std::uint32_t>(bias);
  for (std::size_t i = 0; i < count; ++i) {
    const float sum = values[i] + bias;
    const std::uint32_t whole = std::bit_cast<std::uint32_t>(sum) - bias_bits;
    const std::uint32_t is_small = static_cast<std::uint32_t>(sum - bias == values[i]) &
                                   static_cast<std::uint32_t>(whole < n_small);
    small[i] = static_cast<std::int32_t>(is_small != 0 ? whole : n_small);
  }
}

CELLMILL_WIDE_CLONES void look_up(const float* logs, const std::int32_t* small, std::size_t count,
                                  float* values) {
  for (std::size_t i = 0; i < count; ++i) values[i] = logs[small[i]];
}

float log_of(double value, double factor) { return static_cast<float>(std::log1p(value * factor)); }

/// \param small room for as many numbers
void normalise_row(std::span<float> row, double factor, std::int32_t* small) {
  find_small(row.data(), row.size(), small);
  std::array<bool, n_small + 1> occurs{};
  for (std::size_t i = 0; i < row.size(); ++i) occurs[static_cast<std::size_t>(small[i])] = true;
  std::array<float, n_small> logs;
  for (std::uint32_t count = 0; count < n_small; ++count) {
    if (occurs[count]) logs[count] = log_of(count, factor);
  }
  if (!occurs[n_small]) {
    look_up(logs.data(), small, row.size(), row.data());
    return;
  }
  for (std::size_t i = 0; i < row.size(); ++i) {
    const auto count = static_cast<std::uint32_t>(small[i]);
    row[i] = count < n_small ? logs[count] : log_of(static_cast<double>(row[i]), factor);
  }
}

}  // namespace

void normalise_log1p(std::span<const std::int64_t> indptr, std::span<float> values,
                     std::span<const double> factors) {
  if (indptr.empty()) return;
  if (factors.size() + 1 != indptr.size()) {
    throw input_error(
        fmt::format("normalise: found {} factors for {} rows", factors.size(), indptr.size() - 1));
  }
  thread_local std::vector<std::int32_t> small;
  for (std::size_t row = 0; row < factors.size(); ++row) {
    const auto begin = static_cast<std::size_t>(indptr[row] - indptr[0]);
    const auto count = static_cast<std::size_t>(indptr[row + 1] - indptr[0]) - begin;
    if (small.size() < count) small.resize(count);
    normalise_row(values.subspan(begin, count), factors[row], small.data());
  }
}

}  // namespace cellmill
