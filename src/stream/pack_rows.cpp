#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "cellmill/core/clones.hpp"
#include "cellmill/stream/packed_rows.hpp"
#include "stream/packed_layout.hpp"

namespace cellmill {
namespace {

/// Index bytes of a row. `to` has room for a byte each column and one for every 255 columns of the
/// matrix, and `steps_together` more.
constexpr std::size_t steps_together = 32;

CELLMILL_CLONES std::uint8_t* pack_columns(const std::int32_t* columns, std::size_t count,
                                           std::uint8_t* to) {
  std::int32_t previous = -1;
  std::size_t k = 0;
  while (k < count) {
    if (k > 0 && count - k >= steps_together) {
      std::uint32_t far = 0;
      for (std::size_t i = 0; i < steps_together; ++i) {
        const auto step = static_cast<std::uint32_t>(columns[k + i] - columns[k + i - 1]);
        far |= step;
        to[i] = static_cast<std::uint8_t>(step);
      }
      if (far <= far_step) {
        to += steps_together;
        k += steps_together;
        previous = columns[k - 1];
        continue;
      }
    }
    const std::size_t stop = std::min(count, k + steps_together);
    for (; k < stop; ++k) {
      std::int32_t step = columns[k] - previous;
      for (; step > far_step; step -= far_step) *to++ = 0;
      *to++ = static_cast<std::uint8_t>(step);
      previous = columns[k];
    }
  }
  return to;
}

constexpr std::size_t fields_together = 32;

/// Fields of up to `fields_together` values: the value itself for 1…15, else the exception mark.
/// Adding 2²³ leaves a whole number in a float's low bits; comparing as integers lets the loop
/// vectorise. \returns whether there is an exception
template <class Count>
[[gnu::always_inline]] inline bool make_fields(const float* values, Count count,
                                               std::uint8_t* field) {
  constexpr float whole_in_low_bits = 8388608.0F;
  std::uint32_t exceptions = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float shifted = values[i] + whole_in_low_bits;
    const std::uint32_t whole =
        std::bit_cast<std::uint32_t>(shifted) - std::bit_cast<std::uint32_t>(whole_in_low_bits);
    const auto back = std::bit_cast<std::uint32_t>(shifted - whole_in_low_bits);
    const bool same = back == std::bit_cast<std::uint32_t>(values[i]);
    const std::uint32_t kept = same && whole < 16 ? whole : exception_field;
    exceptions |= static_cast<std::uint32_t>(kept == exception_field);
    field[i] = static_cast<std::uint8_t>(kept);
  }
  return exceptions != 0;
}

/// Half bytes of all values; those that don't fit go to `exceptions`.
CELLMILL_CLONES void pack_values(const float* values, std::size_t count, std::uint8_t* to,
                                 RawVector<float>& exceptions) {
  std::array<std::uint8_t, fields_together> field{};
  for (std::size_t k = 0; k < count; k += fields_together) {
    const std::size_t left = count - k;
    // The constant count lets the compiler unroll.
    const bool some =
        left >= fields_together
            ? make_fields(values + k, std::integral_constant<std::size_t, fields_together>{},
                          field.data())
            : make_fields(values + k, left, field.data());
    const std::size_t here = std::min(left, fields_together);
    if (some) {
      for (std::size_t i = 0; i < here; ++i) {
        if (field[i] == exception_field) exceptions.push_back(values[k + i]);
      }
    }
    if (here < fields_together) std::fill(field.begin() + here, field.end(), exception_field);
    for (std::size_t i = 0; i < (here + 1) / 2; ++i) {
      to[k / 2 + i] = static_cast<std::uint8_t>(field[2 * i] | field[2 * i + 1] << 4U);
    }
  }
}

}  // namespace

Packed pack_rows(const CsrChunk& rows) {
  PackedHeader header;
  header.rows = rows.n_rows();
  header.nnz = rows.nnz();
  header.first_row = rows.first_row;
  const auto n_rows = static_cast<std::size_t>(header.rows);
  const auto nnz = static_cast<std::size_t>(header.nnz);
  const std::size_t fields = (nnz + 1) / 2;
  const std::size_t most_index_bytes =
      nnz + n_rows * static_cast<std::size_t>(rows.n_cols / far_step + 1) + steps_together;

  Packed packed(sizeof(PackedHeader) + n_rows * sizeof(std::uint32_t) + fields + most_index_bytes);
  std::byte* at = packed.data() + sizeof(PackedHeader);
  for (std::size_t row = 0; row < n_rows; ++row) {
    const auto length = static_cast<std::uint32_t>(rows.indptr[row + 1] - rows.indptr[row]);
    std::memcpy(at, &length, sizeof(length));
    at += sizeof(length);
  }
  RawVector<float> exceptions;
  pack_values(rows.values.data(), nnz, reinterpret_cast<std::uint8_t*>(at), exceptions);
  at += fields;
  auto* index = reinterpret_cast<std::uint8_t*>(at);
  std::uint8_t* index_end = index;
  for (std::size_t row = 0; row < n_rows; ++row) {
    const auto begin = static_cast<std::size_t>(rows.indptr[row]);
    const auto end = static_cast<std::size_t>(rows.indptr[row + 1]);
    index_end = pack_columns(rows.indices.data() + begin, end - begin, index_end);
  }
  header.index_bytes = index_end - index;
  header.exceptions = static_cast<std::int64_t>(exceptions.size());
  const std::size_t before_exceptions =
      static_cast<std::size_t>(at - packed.data()) + static_cast<std::size_t>(header.index_bytes);
  const std::size_t size = before_exceptions + exceptions.size() * sizeof(float);
  if (size > packed.capacity()) {  // resize would take twice as much
    Packed exact;
    exact.reserve(size);
    exact.resize(before_exceptions);
    std::memcpy(exact.data(), packed.data(), before_exceptions);
    packed = std::move(exact);
  }
  packed.resize(size);
  std::memcpy(packed.data(), &header, sizeof(PackedHeader));
  if (!exceptions.empty()) {
    std::memcpy(packed.data() + before_exceptions, exceptions.data(),
                exceptions.size() * sizeof(float));
  }
  return packed;
}

}  // namespace cellmill
