#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace cellmill {

/// A numpy U element (native UCS-4, padded by zeros) as UTF-8. \throws Error(input) for code points
/// that don't exist
[[nodiscard]] std::string utf8_of_ucs4(std::span<const std::byte> element);

/// A numpy S element (padded by zeros).
[[nodiscard]] std::string text_of_bytes(std::span<const std::byte> element);

}  // namespace cellmill
