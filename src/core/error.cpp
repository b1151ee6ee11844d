#include "cellmill/core/error.hpp"

#include "cellmill/core/text.hpp"

namespace cellmill {

Error::Error(Kind kind, const std::string& message)
    : std::runtime_error(printable(message)), kind_(kind) {}

int exit_status(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::usage:
      return 2;
    case Error::Kind::resumable:
      return 75;
    default:
      return 1;
  }
}

}  // namespace cellmill
