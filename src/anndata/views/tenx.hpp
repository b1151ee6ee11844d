#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "anndata/views/view_node.hpp"

namespace cellmill {

/// Whether this is a .h5 file of Cell Ranger or Space Ranger: `matrix` with features (version 3),
/// or groups named after genomes (before).
[[nodiscard]] bool is_tenx_h5(const Group& root);

/// Its cells × genes. The matrix is stored genes × cells by cell (CSC), which is CSR cells × genes,
/// so nothing is turned round. Columns are called as scanpy.read_10x_h5 calls them; all features
/// stay, whatever their type.
/// \param genome which; empty: before version 3 the only one, from then on all of them. The
/// features of one of several genomes in one matrix are copied to a scratch file, which lives as
/// long as the view \throws Error(input) for a genome that isn't there, or none given where there
/// are several
[[nodiscard]] Node tenx_h5(const std::shared_ptr<const Group>& root, const std::string& genome);

/// Whether this is a folder with matrix.mtx[.gz] and its tables, or such a matrix itself.
[[nodiscard]] bool is_tenx_mtx(const std::filesystem::path& path);

/// Its cells × genes, with columns called as scanpy.read_10x_mtx calls them. The text is turned
/// into a scratch file, which lives as long as the view.
[[nodiscard]] Node tenx_mtx(const std::filesystem::path& path);

}  // namespace cellmill
