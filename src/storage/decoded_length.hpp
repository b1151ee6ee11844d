#pragma once

#include <fmt/format.h>

#include <cstddef>

#include "cellmill/core/error.hpp"

namespace cellmill {

/// \throws Error(input) naming the codec
inline void expect_length(const char* codec, std::size_t found, std::size_t expected) {
  if (found != expected) {
    throw input_error(
        fmt::format("{} data decode to {} bytes, expected {}", codec, found, expected));
  }
}

inline void expect_at_most(const char* codec, std::size_t found, std::size_t most) {
  if (found > most) {
    throw input_error(
        fmt::format("{} data decode to {} bytes, expected at most {}", codec, found, most));
  }
}

}  // namespace cellmill
