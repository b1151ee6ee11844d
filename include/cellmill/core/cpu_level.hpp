#pragma once

#include <string>

namespace cellmill {

/// Instruction sets that kernels are compiled for; `best` is what this processor has.
enum class CpuLevel { plain, avx2, avx512, best };

/// Whether this program has kernels of the level and this processor can run them.
[[nodiscard]] bool cpu_has(CpuLevel level);

/// The level that `level` means on this processor: itself, or for `best` the highest it has.
/// \throws Error(input) if this processor lacks it
[[nodiscard]] CpuLevel resolve_cpu_level(CpuLevel level);

/// `plain`, `avx2`, `avx512`, `best`.
[[nodiscard]] std::string cpu_level_name(CpuLevel level);

}  // namespace cellmill
