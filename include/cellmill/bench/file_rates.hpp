#pragma once

#include <cstdint>
#include <filesystem>

#include "cellmill/core/parallel.hpp"

namespace cellmill {

/// What the file system of a folder can do at most, bytes a second: new files (their pages are made
/// while they are written) and what was just written, read back. Nothing is synced: the system's
/// cache is what scratch and a finished output go to.
struct FileRates {
  double write_bytes = 0;
  double read_bytes = 0;
};

/// With all of the arena's threads, in blocks of 4 MiB, best of several rounds of about `seconds`
/// in all. \param memory bytes for its buffers; 200 MiB are enough
/// \throws Error(io) if the folder can't be written
[[nodiscard]] FileRates file_rates(Arena& arena, const std::filesystem::path& folder,
                                   std::int64_t memory, double seconds = 0.5);

}  // namespace cellmill
