#pragma once

#include "cellmill/storage/array.hpp"

namespace cellmill {

/// Of who is about to read all of an array: a few bytes of metadata may claim more elements than
/// could be gone through in days, and what was never written is still to be filled in.
/// \throws Error(input) if there are more chunks or strings than any real array has, or if of very
/// many hardly one is there
void expect_plausible_size(const Array& array);

}  // namespace cellmill
