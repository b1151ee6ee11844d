#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cellmill/anndata/csr_chunk.hpp"
#include "cellmill/core/raw_vector.hpp"
#include "cellmill/storage/dtype.hpp"

namespace cellmill {

// The types that values of a training store may have, each holding all that the ones before it
// hold (of what was read as float32): uint8, uint16, uint32, float32.

/// The smallest of them that holds every value exactly. Negative zero counts as zero.
[[nodiscard]] DType narrowest_dtype(std::span<const float> values);

/// The wider of two of them.
[[nodiscard]] DType wider(DType a, DType b);

/// Values of a type that holds them, as elements of it.
void narrow_values(std::span<const float> values, DType dtype, std::span<std::byte> out);

/// Elements of one type as elements of a wider one. `out` has as many; it may not overlap.
void widen_values(std::span<const std::byte> elements, DType from, DType to,
                  std::span<std::byte> out);

/// Columns as uint16 (they are below 2^16) or int32.
void narrow_columns(std::span<const std::int32_t> columns, DType dtype, std::span<std::byte> out);

/// Rows in the types in which a store keeps them.
struct NarrowRows {
  std::vector<std::int64_t> indptr;  ///< rows + 1, from 0
  DType index_dtype = DType::uint16;
  DType value_dtype = DType::uint8;
  RawVector<std::byte> indices;
  RawVector<std::byte> values;

  [[nodiscard]] std::int64_t held_bytes() const {
    return static_cast<std::int64_t>(indptr.capacity() * sizeof(std::int64_t) + indices.capacity() +
                                     values.capacity());
  }
  [[nodiscard]] std::int64_t n_rows() const {
    return indptr.empty() ? 0 : static_cast<std::int64_t>(indptr.size()) - 1;
  }
};

/// \param least type of the values, so that most blocks of rows come in the type that all need
void narrow_rows(const CsrChunk& rows, DType index_dtype, DType least, NarrowRows& out);

}  // namespace cellmill
