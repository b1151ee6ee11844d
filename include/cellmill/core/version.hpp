#pragma once

namespace cellmill {

/// `0.1.0`
[[nodiscard]] const char* version();

}  // namespace cellmill
