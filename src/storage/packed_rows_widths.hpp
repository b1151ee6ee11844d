#pragma once

#include <cstdint>
#include <span>

#include "storage/packed_rows_layout.hpp"

namespace cellmill {

/// The widths that take the fewest bits for values like these.
[[nodiscard]] PackedWidths choose_widths(std::span<const std::uint32_t> sample);

}  // namespace cellmill
