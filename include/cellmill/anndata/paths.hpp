#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// Whether `a` comes before `b` as a person counts: runs of digits compare as numbers, so plate2
/// comes before plate10. A strict total order.
[[nodiscard]] bool natural_less(std::string_view a, std::string_view b);

/// The AnnData that a user's arguments mean, each argument's in turn:
/// - an h5ad file, a Zarr store (a folder with Zarr metadata, a .zarr.zip), a 10x .h5 file (perhaps
///   with `::genome`) or folder of .mtx: itself;
/// - a Zarr store that is annbatch's collection: the data sets in it, in natural order;
/// - any other folder: the .h5ad files and Zarr stores in it, in natural order;
/// - a glob (`*`, `?`, `[…]`): what matches, in natural order;
/// - `@plates.txt`: the arguments in that file, one a line, `#` starts a comment line; relative
///   paths are relative to the file's folder.
/// \throws Error(not_found) for what isn't there, Error(input) for a folder or list without AnnData
/// and for a path that is named twice
[[nodiscard]] std::vector<std::filesystem::path> expand_paths(
    std::span<const std::string> arguments);

/// A path whose end may name a genome: `file.h5::GRCh38`, of a 10x file that has several.
struct PlatePath {
  std::filesystem::path file;
  std::string genome;  ///< empty if none is named
};
[[nodiscard]] PlatePath split_genome(const std::filesystem::path& path);

/// What a plate is called: its file's name without `.h5ad`, `.zarr`, `.zarr.zip` or `.h5`; and the
/// genome, if one is named.
[[nodiscard]] std::string plate_label(const std::filesystem::path& path);

}  // namespace cellmill
