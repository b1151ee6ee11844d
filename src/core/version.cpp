#include "cellmill/core/version.hpp"

namespace cellmill {

const char* version() { return CELLMILL_VERSION; }

}  // namespace cellmill
