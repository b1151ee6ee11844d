#pragma once

#include <cstddef>
#include <cstdint>

namespace cellmill {

/// A claim of more elements than this machine's memory could ever hold ends here, not with the
/// process, nor with the machine that gives pages it hasn't got.
/// \param bytes_each that one element needs
/// \throws Error(input)
void expect_memory(std::int64_t elements, std::size_t bytes_each);

}  // namespace cellmill
