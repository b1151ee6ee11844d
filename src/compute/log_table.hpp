#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace cellmill {

/// log1p(v · factor), remembered for the small whole numbers of a row: counts are few and distinct
/// ones fewer, and log1p costs more than all else that happens to a value.
class LogTable {
 public:
  /// Starts a row: what was remembered is forgotten.
  void start_row(double factor) {
    factor_ = factor;
    if (++row_ == 0) {
      stamps_.fill(0);
      row_ = 1;
    }
  }

  [[nodiscard]] double operator()(float value) {
    // Compared as floats first: a conversion of NaN or of a large number is undefined.
    if (value >= 0 && value < static_cast<float>(kSize)) {
      const auto slot = static_cast<std::size_t>(static_cast<std::int32_t>(value));
      if (static_cast<float>(slot) == value) {
        if (stamps_[slot] != row_) {
          stamps_[slot] = row_;
          logs_[slot] = std::log1p(static_cast<double>(value) * factor_);
        }
        return logs_[slot];
      }
    }
    return std::log1p(static_cast<double>(value) * factor_);
  }

 private:
  static constexpr std::size_t kSize = 256;
  std::array<double, kSize> logs_;
  std::array<std::uint32_t, kSize> stamps_{};
  std::uint32_t row_ = 0;
  double factor_ = 1;
};

}  // namespace cellmill
