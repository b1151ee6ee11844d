#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// `1234567` as `1,234,567`.
[[nodiscard]] std::string grouped(std::int64_t number);

/// Bytes as a person reads them: `1.5 GB`, `37 MB`, `512 B` (powers of 1000).
[[nodiscard]] std::string human_bytes(std::int64_t bytes);

/// Bytes from `8G`, `400M`, `1.5GiB`, `123456`; K, M, G, T are powers of 1024, as Slurm's --mem has
/// it. \throws Error(usage) naming the text
[[nodiscard]] std::int64_t parse_bytes(std::string_view text);

/// A duration as `1 h 04 min`, `3 min 20 s`, `12.3 s`, `45 ms`.
[[nodiscard]] std::string human_seconds(double seconds);

/// Those of `names` nearest to `wanted` by edit distance, best first: for "did you mean …?".
[[nodiscard]] std::vector<std::string> nearest_names(std::string_view wanted,
                                                     std::span<const std::string> names,
                                                     std::size_t count = 3);

/// The text as valid UTF-8: each byte that is not part of a character becomes U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

/// What comes out of files, for terminals and logs: valid UTF-8, in which control characters other
/// than tab and line feed, and the separators U+2028 and U+2029, are U+FFFD.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace cellmill
