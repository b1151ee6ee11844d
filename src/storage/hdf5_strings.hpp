#pragma once

#include <cstdint>
#include <string>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/strings.hpp"
#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

// Strings of variable or fixed length, ASCII or UTF-8. They take and leave the Lock themselves.

/// Rows [range) of a 1-D dataset of strings; of a 0-d one, its only string. Of a dataset of a
/// compound type, the strings of `member`.
[[nodiscard]] Strings read_strings(hid_t dataset, Range range, const std::string& member = "");

/// All strings of an attribute of `type`.
[[nodiscard]] Strings read_attribute_strings(hid_t attribute, hid_t type, std::int64_t count);

/// Writes strings from row `first` of a 1-D dataset of variable length, or the one of a 0-d one.
void write_strings(hid_t dataset, std::int64_t first, const Strings& strings);

}  // namespace cellmill::hdf5
