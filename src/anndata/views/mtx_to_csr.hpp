#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "cellmill/storage/scratch_array.hpp"

namespace cellmill {

/// A CSR matrix of columns × rows of the file, in scratch.
struct ScratchCsr {
  std::int64_t n_rows = 0;
  std::int64_t n_cols = 0;
  std::shared_ptr<const ScratchBlocks> data;
  std::shared_ptr<const ScratchBlocks> indices;
  std::shared_ptr<const ScratchBlocks> indptr;
};

struct MtxToCsrOptions {
  std::filesystem::path scratch;  ///< a folder; empty: found, as find_scratch_folder does
  /// Entries of an unsorted file that are sorted at once; 12 bytes each in memory, twice.
  std::int64_t sorted_at_once = 1 << 22;
};

/// Turns a Matrix Market file round, so that each of its columns becomes a row. The text is read
/// once if its entries are sorted by column, as they usually are, and twice if not; memory is taken
/// for 8 bytes a column and for `sorted_at_once` entries.
/// \param location of the matrix, for messages about it later
/// \param columns how many there must be, known from elsewhere
/// \throws Error(input) if the file is corrupt or of another size, Error(io) if scratch is full
[[nodiscard]] ScratchCsr mtx_to_csr(const std::filesystem::path& mtx, const std::string& location,
                                    std::int64_t columns, const MtxToCsrOptions& options = {});

/// A scratch file for about so many bytes. \throws Error(io) if no disk has them
[[nodiscard]] std::shared_ptr<ScratchFile> scratch_for(const std::filesystem::path& mtx,
                                                       const std::filesystem::path& folder,
                                                       std::int64_t bytes);

}  // namespace cellmill
