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
      to[i] = static_cast<To>(value);
    }
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

template void convert_elements<std::int32_t>(DType, std::span<const std::byte>,
                                             std::span<std::int32_t>);
template void convert_elements<std::int64_t>(DType, std::span<const std::byte>,
                                             std::span<std::int64_t>);
template void convert_elements<float>(DType, std::span<const std::byte>, std::span<float>);
template void convert_elements<double>(DType, std::span<const std::byte>, std::span<double>);

}  // namespace cellmill
