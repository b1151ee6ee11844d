#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/array.hpp"

namespace cellmill {

/// Strings of one row of an array: the product of its lengths but the first.
[[nodiscard]] std::int64_t strings_a_row(const ArrayInfo& info);

/// How many rows of an array of this shape so many strings are. \throws Error(input), which does
/// not name the array, if they are no whole rows
[[nodiscard]] std::int64_t rows_of_strings(std::span<const std::int64_t> shape,
                                           std::int64_t strings);

/// What read_strings checks first: that the array holds strings, has these rows, and that memory
/// could hold as many strings. Errors do not name the array. \throws Error(input)
void expect_string_rows(const ArrayInfo& info, Range rows);

/// Appends strings [part) of a chunk, numbered in C order of the whole chunk. False, and nothing is
/// appended, if the chunk was never written.
using DecodeStrings = std::function<bool(std::int64_t chunk, Range part, Strings& to)>;

/// Rows [rows) of an array of any rank in C order, from the chunks that hold them: each is decoded
/// once. `fill` stands for strings that were never written.
[[nodiscard]] Strings gather_strings(const ArrayInfo& info, Range rows, std::string_view fill,
                                     const DecodeStrings& decode);

}  // namespace cellmill
