#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/strings.hpp"
#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

// Strings of variable or fixed length, ASCII or UTF-8. They take and leave the Lock themselves.

/// Rows [rows) of a dataset of strings, through libhdf5, in C order; of a 0-d one, its only string.
/// Of a dataset of a compound type, the strings of `member`.
[[nodiscard]] Strings read_strings(hid_t dataset, Range rows, const std::string& member = "");

/// Strings of fixed length, `width` bytes each, padded with zeros or, from Fortran's world, blanks.
void append_fixed(std::span<const std::byte> elements, std::size_t width, H5T_str_t padding,
                  Strings& to);

/// All strings of an attribute of `type`.
[[nodiscard]] Strings read_attribute_strings(hid_t attribute, hid_t type, std::int64_t count);

/// Writes strings, whole rows from row `first` of a dataset of variable length in C order, or the
/// one of a 0-d one.
void write_strings(hid_t dataset, std::int64_t first, const Strings& strings);

}  // namespace cellmill::hdf5
