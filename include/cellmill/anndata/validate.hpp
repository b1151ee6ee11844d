#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "cellmill/core/parallel.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// Who hears of what is found.
struct ValidateEvents {
  std::function<void(const std::string&)> on_element;  ///< before an element is read, its path
  std::function<void(std::int64_t)> on_bytes;          ///< decoded bytes, as they are read
  std::function<void(const std::string&)> on_fault;    ///< file, element, found, expected
};

struct ValidateOptions {
  std::int64_t most_chunk_bytes = std::int64_t{1}
                                  << 30;  ///< a larger chunk is a fault, and not read
  std::string skip_until;  ///< an element's path: what comes before it, and itself, is left out
};

/// Reads everything in an AnnData and says what is wrong: every chunk decodes and its checksums
/// fit; offsets rise, rows and columns are inside, sorted and met once; columns, codes and masks
/// fit their index; X, layers, obsm, obsp, varm, varp and raw fit obs and var. A fault doesn't end
/// it.
void validate_anndata(const Group& root, const ValidateOptions& options, Arena& arena,
                      const ValidateEvents& events);

/// The same of a path, in a process of its own that may take `memory` bytes and be silent for ten
/// seconds: what crashes or hangs the HDF5 library is a fault like any other, and the elements
/// after it are read all the same. \param command this program's hidden way to validate in the
/// child \returns the number of faults
struct ChildValidation {
  std::filesystem::path path;
  std::int64_t memory = 0;
  double silent_seconds = 10;
  int threads = 1;
};
std::int64_t validate_in_child(const ChildValidation& validation, const ValidateEvents& events);

/// What the child of `validate_in_child` does: events as lines on standard output.
void validate_as_child(const std::filesystem::path& path, const ValidateOptions& options,
                       Arena& arena);

}  // namespace cellmill
