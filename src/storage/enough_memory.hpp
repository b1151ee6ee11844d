#pragma once

#include <cstddef>
#include <cstdint>

namespace cellmill {

/// The bytes that a claim may have: what limit_claims() was told, else what the machine gives.
[[nodiscard]] std::int64_t most_claimed();

/// A claim of more elements than the memory could ever hold ends here, not with the process, nor
/// with the machine that gives pages it hasn't got.
/// \param bytes_each that one element needs
/// \throws Error(input)
void expect_memory(std::int64_t elements, std::size_t bytes_each);

}  // namespace cellmill
