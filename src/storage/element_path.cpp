#include "storage/element_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "cellmill/core/error.hpp"

namespace cellmill {

void check_element_name(const std::string& location, const std::string& name) {
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == "." || part == ".." || part.find('\0') != part.npos) {
      throw input_error(fmt::format("{}: '{}' is not a name of an element", location, name));
    }
  }
}

void check_depth(const std::string& file, const std::string& path) {
  constexpr std::ptrdiff_t most = 64;
  if (std::count(path.begin(), path.end(), '/') < most) return;
  throw input_error(fmt::format("{}: {}…: lies more than {} groups deep; does a link lead back?",
                                file, path.substr(0, 80), most));
}

}  // namespace cellmill
