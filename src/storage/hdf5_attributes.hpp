#pragma once

#include <nlohmann/json_fwd.hpp>

#include "storage/hdf5_library.hpp"

namespace cellmill::hdf5 {

// Attributes as JSON, by h5py's and anndata's conventions. Call under the Lock.

/// All attributes of an object. Strings of any kind are text, ENUM {FALSE, TRUE} is a boolean, an
/// object reference is the path it points to, an empty dataspace is null, arrays nest by axis.
/// Attributes of other types are left out.
[[nodiscard]] nlohmann::json read_attributes(hid_t object);

/// Writes each member of a JSON object, replacing attributes of that name. Text is a scalar UTF-8
/// string of variable length, integers are int64, other numbers float64, booleans the ENUM; arrays
/// are one-dimensional and of one kind; an empty one is float64, as h5py has it; null is an empty
/// dataspace. \throws Error(io), Error(input) for what has no such form
void write_attributes(hid_t object, const nlohmann::json& attributes);

}  // namespace cellmill::hdf5
