#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "cellmill/storage/strings.hpp"
#include "storage/codecs.hpp"

namespace cellmill {

/// A numpy U element (native UCS-4, padded by zeros) as UTF-8. \throws Error(input) for code points
/// that don't exist
[[nodiscard]] std::string utf8_of_ucs4(std::span<const std::byte> element);

/// A numpy S element (padded by zeros).
[[nodiscard]] std::string text_of_bytes(std::span<const std::byte> element);

/// \throws Error(input) for text that is no base64
[[nodiscard]] Bytes bytes_of_base64(std::string_view text);

/// The codec vlen-utf8: a 32-bit count, then a 32-bit length and the bytes of each string.
/// Decoding appends strings [first, first + count) to `out`.
void decode_vlen_utf8(std::span<const std::byte> in, std::int64_t first, std::int64_t count,
                      Strings& out);
/// `count` strings from `first`; beyond the end of `strings` empty ones fill up.
[[nodiscard]] Bytes encode_vlen_utf8(const Strings& strings, std::int64_t first,
                                     std::int64_t count);

}  // namespace cellmill
