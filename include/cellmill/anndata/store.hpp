#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "cellmill/storage/group.hpp"

namespace cellmill {

struct AnnDataOpenOptions {
  std::string genome;  ///< of a 10x file that has several; empty: its only one, or all of a matrix
};

/// The root of an AnnData for reading, whatever wrote it: an h5ad file or a Zarr store of any
/// version of anndata, a 10x .h5 file, a folder of 10x .mtx files (or the matrix.mtx itself). Old
/// and foreign ones are presented as the tree that anndata 0.8 and later write. A genome may also
/// be named by the path: `file.h5::GRCh38`.
/// \throws Error(not_found) if nothing is there, Error(input) if it is none of these
[[nodiscard]] std::unique_ptr<Group> open_anndata_store(const std::filesystem::path& path,
                                                        const AnnDataOpenOptions& options = {});

}  // namespace cellmill
