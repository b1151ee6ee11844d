#include "cellmill/core/error.hpp"

namespace cellmill {

int exit_status(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::usage:
      return 2;
    case Error::Kind::stopped:
      return 75;
    default:
      return 1;
  }
}

}  // namespace cellmill
