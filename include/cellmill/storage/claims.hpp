#pragma once

#include <cstdint>

namespace cellmill {

/// A file may claim anything: chunks, columns and counts of more bytes than this are an
/// Error(input) before there is room made for them. For the program's start; without it, what the
/// machine, the cgroup or Slurm gives (`available_memory`).
void limit_claims(std::int64_t bytes);

}  // namespace cellmill
