#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

#include "cellmill/train/obs_values.hpp"

namespace cellmill {

/// A weight for each row of the data, over all sources: numbers of this object's own, or those that
/// somebody else holds (an array, a file mapped into memory), which are not copied.
class RowWeights {
 public:
  explicit RowWeights(std::vector<double> weights);
  /// \param owner keeps the numbers alive
  RowWeights(std::span<const double> weights, std::shared_ptr<const void> owner)
      : weights_(weights), owner_(std::move(owner)) {}
  RowWeights(std::span<const float> weights, std::shared_ptr<const void> owner)
      : weights_(weights), owner_(std::move(owner)) {}

  [[nodiscard]] std::int64_t size() const;
  /// Memory of this object's own.
  [[nodiscard]] std::int64_t bytes() const { return own_bytes_; }
  [[nodiscard]] double operator[](std::int64_t row) const {
    const auto at = static_cast<std::size_t>(row);
    const auto* doubles = std::get_if<std::span<const double>>(&weights_);
    return doubles != nullptr ? (*doubles)[at]
                              : static_cast<double>(std::get<std::span<const float>>(weights_)[at]);
  }

 private:
  std::variant<std::span<const double>, std::span<const float>> weights_;
  std::shared_ptr<const void> owner_;
  std::int64_t own_bytes_ = 0;
};

/// A column of obs as weights. \throws Error(usage) for one of labels
[[nodiscard]] RowWeights weights_of(const ObsValues& column);

/// Inverse frequencies of labels: N / n for each row whose label n of the N labelled rows have; 0
/// for rows without one. Drawn by these weights, all labels are equally frequent.
/// \param rows that the frequencies are of and that get weights, rising; the others get 0
/// \throws Error(usage) for a column of numbers, Error(input) if no row has a label
[[nodiscard]] std::vector<double> label_weights(const ObsValues& labels,
                                                std::span<const std::int64_t> rows);

}  // namespace cellmill
