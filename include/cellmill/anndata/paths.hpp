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
/// - an h5ad file, or a Zarr store (a folder with Zarr metadata, a .zarr.zip): itself;
/// - a Zarr store that is annbatch's collection: the data sets in it, in natural order;
/// - a folder: the .h5ad files and Zarr stores in it, in natural order;
/// - a glob (`*`, `?`, `[…]`): what matches, in natural order;
/// - `@plates.txt`: the arguments in that file, one a line, `#` starts a comment line; relative
///   paths are relative to the file's folder.
/// \throws Error(not_found) for what isn't there, Error(input) for a folder or list without AnnData
/// and for a path that is named twice
[[nodiscard]] std::vector<std::filesystem::path> expand_paths(
    std::span<const std::string> arguments);

/// What a plate is called: its file's name without `.h5ad`, `.zarr` or `.zarr.zip`.
[[nodiscard]] std::string plate_label(const std::filesystem::path& path);

}  // namespace cellmill
