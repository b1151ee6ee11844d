#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "cellmill/storage/array.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

// What CSR and CSC matrices on disk have in common: a group of `data`, `indices` and `indptr` with
// the attribute `shape`.

struct SparseShape {
  std::int64_t rows = 0;
  std::int32_t cols = 0;
};

/// \throws Error(input) if the attribute is absent or no shape
[[nodiscard]] SparseShape read_sparse_shape(const Group& group);

/// \throws Error(input) if the array is not 1-D, or not of the kind that its name asks for
[[nodiscard]] std::unique_ptr<Array> open_sparse_vector(const Group& group,
                                                        const std::string& name);

/// \throws Error(input) `…: 7 elements found, expected 8 (why)`
void expect_elements(const Array& array, std::int64_t expected, const char* why);

/// Decodes its share (`piece` of `pieces`) of fetched row or column numbers. Those that are no
/// int32 become −1, which no matrix has.
void decode_indices(const Array& indices, const FetchedRange& fetched, std::span<std::int32_t> out,
                    std::int64_t piece = 0, std::int64_t pieces = 1);

}  // namespace cellmill
