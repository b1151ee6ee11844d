#include "cellmill/storage/dtype.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <type_traits>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

struct Entry {
  DType dtype;
  const char* name;
  std::size_t size;
};

constexpr std::array<Entry, 12> entries = {{{DType::boolean, "bool", 1},
                                            {DType::int8, "int8", 1},
                                            {DType::int16, "int16", 2},
                                            {DType::int32, "int32", 4},
                                            {DType::int64, "int64", 8},
                                            {DType::uint8, "uint8", 1},
                                            {DType::uint16, "uint16", 2},
                                            {DType::uint32, "uint32", 4},
                                            {DType::uint64, "uint64", 8},
                                            {DType::float32, "float32", 4},
                                            {DType::float64, "float64", 8},
                                            {DType::string, "string", 0}}};

constexpr const Entry& entry(DType dtype) { return entries[static_cast<std::size_t>(dtype)]; }

template <class From, class To>
void convert(std::span<const std::byte> from, std::span<To> to) {
  if constexpr (std::is_same_v<From, To>) {
    if (!to.empty()) std::memcpy(to.data(), from.data(), to.size_bytes());
  } else {
    // memcpy, because decoded bytes need not be aligned; compilers make vector loads of it.
    for (std::size_t i = 0; i < to.size(); ++i) {
      From value;
      std::memcpy(&value, from.data() + i * sizeof(From), sizeof(From));
      to[i] = static_cast<To>(value);  // NOLINT(bugprone-signed-char-misuse): int8 is a number
    }
  }
}

template <class To>
void convert_to(std::span<const double> from, std::span<std::byte> to) {
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto value = static_cast<To>(from[i]);
    std::memcpy(to.data() + i * sizeof(To), &value, sizeof(To));
  }
}

}  // namespace

std::size_t dtype_size(DType dtype) { return entry(dtype).size; }

std::string dtype_name(DType dtype) { return entry(dtype).name; }

DType parse_dtype(const std::string& name) {
  for (const Entry& candidate : entries) {
    if (name == candidate.name) return candidate.dtype;
  }
  throw input_error(fmt::format("element type '{}' is not supported", name));
}

bool is_integer(DType dtype) { return dtype >= DType::int8 && dtype <= DType::uint64; }

bool is_float(DType dtype) { return dtype == DType::float32 || dtype == DType::float64; }

bool fits_float32(DType dtype) {
  return dtype == DType::float32 || (!is_float(dtype) && dtype_size(dtype) <= 2);
}

DType promoted(DType a, DType b) {
  if (a == b || b == DType::boolean) return a;
  if (a == DType::boolean) return b;
  if (is_float(a) || is_float(b)) {
    return fits_float32(a) && fits_float32(b) ? DType::float32 : DType::float64;
  }
  const DType wider = dtype_size(a) >= dtype_size(b) ? a : b;
  const DType narrower = wider == a ? b : a;
  const bool wider_signed = wider <= DType::int64;
  if (wider_signed == (narrower <= DType::int64)) return wider;
  if (wider_signed && dtype_size(wider) > dtype_size(narrower)) return wider;
  // A signed type that also holds the unsigned one.
  switch (dtype_size(wider)) {
    case 1:
      return DType::int16;
    case 2:
      return DType::int32;
    case 4:
      return DType::int64;
    default:
      return DType::float64;
  }
}

template <class T>
void convert_elements(DType dtype, std::span<const std::byte> from, std::span<T> to) {
  if (dtype == DType::string) throw input_error("holds strings, expected numbers");
  if (from.size() != to.size() * dtype_size(dtype)) {
    throw input_error(fmt::format("{} bytes of {} found, expected {} elements", from.size(),
                                  dtype_name(dtype), to.size()));
  }
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return convert<std::uint8_t>(from, to);
    case DType::int8:
      return convert<std::int8_t>(from, to);
    case DType::int16:
      return convert<std::int16_t>(from, to);
    case DType::int32:
      return convert<std::int32_t>(from, to);
    case DType::int64:
      return convert<std::int64_t>(from, to);
    case DType::uint16:
      return convert<std::uint16_t>(from, to);
    case DType::uint32:
      return convert<std::uint32_t>(from, to);
    case DType::uint64:
      return convert<std::uint64_t>(from, to);
    case DType::float32:
      return convert<float>(from, to);
    case DType::float64:
      return convert<double>(from, to);
    case DType::string:
      break;
  }
}

void convert_elements(std::span<const double> from, DType dtype, std::span<std::byte> to) {
  if (dtype == DType::string) throw input_error("holds strings, expected numbers");
  if (to.size() != from.size() * dtype_size(dtype)) {
    throw input_error(fmt::format("{} elements found, room for {} bytes of {}", from.size(),
                                  to.size(), dtype_name(dtype)));
  }
  switch (dtype) {
    case DType::boolean:
    case DType::uint8:
      return convert_to<std::uint8_t>(from, to);
    case DType::int8:
      return convert_to<std::int8_t>(from, to);
    case DType::int16:
      return convert_to<std::int16_t>(from, to);
    case DType::int32:
      return convert_to<std::int32_t>(from, to);
    case DType::int64:
      return convert_to<std::int64_t>(from, to);
    case DType::uint16:
      return convert_to<std::uint16_t>(from, to);
    case DType::uint32:
      return convert_to<std::uint32_t>(from, to);
    case DType::uint64:
      return convert_to<std::uint64_t>(from, to);
    case DType::float32:
      return convert_to<float>(from, to);
    case DType::float64:
      return convert_to<double>(from, to);
    case DType::string:
      break;
  }
}

template void convert_elements<std::int32_t>(DType, std::span<const std::byte>,
                                             std::span<std::int32_t>);
template void convert_elements<std::int64_t>(DType, std::span<const std::byte>,
                                             std::span<std::int64_t>);
template void convert_elements<float>(DType, std::span<const std::byte>, std::span<float>);
template void convert_elements<double>(DType, std::span<const std::byte>, std::span<double>);

}  // namespace cellmill
