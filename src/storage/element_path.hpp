#pragma once

#include <string>

namespace cellmill {

/// `name` is a path of plain names: nothing that would lead out of a store.
/// \throws Error(input) if it is not, with the location in front
void check_element_name(const std::string& location, const std::string& name);

/// Links that lead back to a group above make a tree without an end.
/// \param path from the root \throws Error(input) if no real element lies so deep, with the file's
/// name in front
void check_depth(const std::string& file, const std::string& path);

}  // namespace cellmill
