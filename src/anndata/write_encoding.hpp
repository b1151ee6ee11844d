#pragma once

#include <string>

#include "cellmill/storage/group.hpp"

namespace cellmill {

/// Marks the element `name` of `parent` (itself if empty) with anndata's encoding.
void set_encoding(Group& parent, const std::string& name, const char* type, const char* version);

/// \throws Error(input) for names that AnnData can't have
void check_name(const Group& parent, const std::string& name);

}  // namespace cellmill
