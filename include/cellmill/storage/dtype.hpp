#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace cellmill {

/// Element types found in AnnData files. In memory always native-endian.
enum class DType {
  boolean,
  int8,
  int16,
  int32,
  int64,
  uint8,
  uint16,
  uint32,
  uint64,
  float32,
  float64,
  string
};

/// Bytes of one element; 0 for strings.
[[nodiscard]] std::size_t dtype_size(DType dtype);
/// numpy's name: `int32`, `float32`, `bool`, `string` …
[[nodiscard]] std::string dtype_name(DType dtype);
[[nodiscard]] DType parse_dtype(const std::string& name);
[[nodiscard]] bool is_integer(DType dtype);  ///< signed or unsigned; not bool
[[nodiscard]] bool is_float(DType dtype);
/// Whether float32 holds every number of this type.
[[nodiscard]] bool fits_float32(DType dtype);
/// The type that numpy gives to numbers of both types together. Not for strings.
[[nodiscard]] DType promoted(DType a, DType b);

template <class T>
[[nodiscard]] constexpr DType dtype_of();
template <>
constexpr DType dtype_of<bool>() {
  return DType::boolean;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::int8;
}
template <>
constexpr DType dtype_of<std::int16_t>() {
  return DType::int16;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::int32;
}
template <>
constexpr DType dtype_of<std::int64_t>() {
  return DType::int64;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::uint8;
}
template <>
constexpr DType dtype_of<std::uint16_t>() {
  return DType::uint16;
}
template <>
constexpr DType dtype_of<std::uint32_t>() {
  return DType::uint32;
}
template <>
constexpr DType dtype_of<std::uint64_t>() {
  return DType::uint64;
}
template <>
constexpr DType dtype_of<float>() {
  return DType::float32;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::float64;
}

/// Converts `from.size() / dtype_size(dtype)` elements to T, as a C++ cast does (integers are not
/// range-checked here: callers that index with the result check it). Instantiated for int32_t,
/// int64_t, float, double.
template <class T>
void convert_elements(DType dtype, std::span<const std::byte> from, std::span<T> to);

/// The other way: `from` as elements of `dtype`, which must hold them.
void convert_elements(std::span<const double> from, DType dtype, std::span<std::byte> to);

}  // namespace cellmill
