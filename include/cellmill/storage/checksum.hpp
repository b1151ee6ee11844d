#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace cellmill {

/// CRC-32C (Castagnoli) of all bytes.
[[nodiscard]] std::uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace cellmill
