#include "train/narrow_rows.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cellmill/core/clones.hpp"

namespace cellmill {
namespace {

/// What counts below 2^31 look like: the highest, and whether all are such.
struct Span {
  std::int32_t highest = 0;
  bool whole = true;
};

CELLMILL_CLONES Span span_of(const float* values, std::size_t count) {
  std::int32_t highest = 0;
  std::int32_t odd = 0;
  for (std::size_t i = 0; i < count; ++i) {
    // What is out of range (or NaN) must not be cast; zero differs from all of that.
    const bool inside = values[i] >= 0.0F && values[i] < 2147483648.0F;
    const auto whole = static_cast<std::int32_t>(inside ? values[i] : 0.0F);
    odd |= static_cast<std::int32_t>(static_cast<float>(whole) != values[i]);
    highest = std::max(highest, whole);
  }
  return {highest, odd == 0};
}

bool all_uint32(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float value) {
    return value >= 0.0F && value < 4294967296.0F && std::trunc(value) == value;
  });
}

template <class T>
CELLMILL_CLONES void narrow_small(const float* values, std::size_t count, T* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = static_cast<T>(static_cast<std::int32_t>(values[i]));
  }
}

template <class From, class To>
void convert(std::span<const std::byte> elements, std::span<std::byte> out) {
  const auto* from = reinterpret_cast<const From*>(elements.data());
  auto* to = reinterpret_cast<To*>(out.data());
  for (std::size_t i = 0; i < elements.size() / sizeof(From); ++i) to[i] = static_cast<To>(from[i]);
}

template <class From>
void widen_from(std::span<const std::byte> elements, DType to, std::span<std::byte> out) {
  switch (to) {
    case DType::uint16:
      return convert<From, std::uint16_t>(elements, out);
    case DType::uint32:
      return convert<From, std::uint32_t>(elements, out);
    default:
      return convert<From, float>(elements, out);
  }
}

CELLMILL_CLONES void columns_to_uint16(const std::int32_t* columns, std::size_t count,
                                       std::uint16_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::uint16_t>(columns[i]);
}

/// Uninitialised room for `count` elements.
std::span<std::byte> room(RawVector<std::byte>& buffer, std::size_t count, DType dtype) {
  buffer.clear();  // so that growing copies nothing
  buffer.resize(count * dtype_size(dtype));
  return buffer;
}

}  // namespace

DType narrowest_dtype(std::span<const float> values) {
  const Span span = span_of(values.data(), values.size());
  if (!span.whole) return all_uint32(values) ? DType::uint32 : DType::float32;
  if (span.highest <= std::numeric_limits<std::uint8_t>::max()) return DType::uint8;
  return span.highest <= std::numeric_limits<std::uint16_t>::max() ? DType::uint16 : DType::uint32;
}

DType wider(DType a, DType b) {
  if (a == DType::float32 || b == DType::float32) return DType::float32;
  return dtype_size(a) < dtype_size(b) ? b : a;
}

void narrow_values(std::span<const float> values, DType dtype, std::span<std::byte> out) {
  switch (dtype) {
    case DType::uint8:
      return narrow_small(values.data(), values.size(),
                          reinterpret_cast<std::uint8_t*>(out.data()));
    case DType::uint16:
      return narrow_small(values.data(), values.size(),
                          reinterpret_cast<std::uint16_t*>(out.data()));
    case DType::uint32: {
      auto* to = reinterpret_cast<std::uint32_t*>(out.data());
      for (std::size_t i = 0; i < values.size(); ++i) to[i] = static_cast<std::uint32_t>(values[i]);
      return;
    }
    default:
      if (!values.empty()) std::memcpy(out.data(), values.data(), values.size_bytes());
  }
}

void widen_values(std::span<const std::byte> elements, DType from, DType to,
                  std::span<std::byte> out) {
  if (elements.empty()) return;
  if (from == to) {
    std::memcpy(out.data(), elements.data(), elements.size());
    return;
  }
  switch (from) {
    case DType::uint8:
      return widen_from<std::uint8_t>(elements, to, out);
    case DType::uint16:
      return widen_from<std::uint16_t>(elements, to, out);
    default:
      return widen_from<std::uint32_t>(elements, to, out);
  }
}

void narrow_columns(std::span<const std::int32_t> columns, DType dtype, std::span<std::byte> out) {
  if (columns.empty()) return;
  if (dtype == DType::uint16) {
    columns_to_uint16(columns.data(), columns.size(), reinterpret_cast<std::uint16_t*>(out.data()));
  } else {
    std::memcpy(out.data(), columns.data(), columns.size_bytes());
  }
}

void narrow_rows(const CsrChunk& rows, DType index_dtype, DType least, NarrowRows& out) {
  // What fits a cache is looked at and narrowed in one go.
  constexpr std::size_t block = 8192;
  out.indptr = rows.indptr;
  const auto nnz = static_cast<std::size_t>(rows.nnz());
  out.index_dtype = index_dtype;
  narrow_columns(std::span(rows.indices).first(nnz), index_dtype,
                 room(out.indices, nnz, index_dtype));
  out.value_dtype = least;
  std::span<std::byte> values = room(out.values, nnz, out.value_dtype);
  for (std::size_t at = 0; at < nnz; at += block) {
    const auto some = std::span(rows.values).subspan(at, std::min(block, nnz - at));
    const DType dtype = wider(out.value_dtype, narrowest_dtype(some));
    if (dtype != out.value_dtype) {
      // A rare event: what is done is done again.
      out.value_dtype = dtype;
      values = room(out.values, nnz, dtype);
      narrow_values(std::span(rows.values).first(at), dtype, values);
    }
    const std::size_t width = dtype_size(dtype);
    narrow_values(some, dtype, values.subspan(at * width, some.size() * width));
  }
}

}  // namespace cellmill
