#pragma once

#include <cstdint>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/dtype.hpp"

namespace cellmill {

/// Calls `body.template operator()<T>()` with the type of numbers (or booleans: uint8_t) that
/// `dtype` names.
template <class Body>
decltype(auto) visit_dtype(DType dtype, Body&& body) {
  switch (dtype) {
    case DType::int8:
      return body.template operator()<std::int8_t>();
    case DType::int16:
      return body.template operator()<std::int16_t>();
    case DType::int32:
      return body.template operator()<std::int32_t>();
    case DType::int64:
      return body.template operator()<std::int64_t>();
    case DType::boolean:
    case DType::uint8:
      return body.template operator()<std::uint8_t>();
    case DType::uint16:
      return body.template operator()<std::uint16_t>();
    case DType::uint32:
      return body.template operator()<std::uint32_t>();
    case DType::uint64:
      return body.template operator()<std::uint64_t>();
    case DType::float32:
      return body.template operator()<float>();
    case DType::float64:
      return body.template operator()<double>();
    case DType::string:
      break;
  }
  throw input_error("holds strings, expected numbers");
}

}  // namespace cellmill
