#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cellmill/core/ranges.hpp"
#include "cellmill/storage/group.hpp"

namespace cellmill {

/// What `cellmill info` tells about one AnnData, as JSON (docs/user-guide.md, "info"): shape,
/// matrices with their encoding, chunks and codecs, columns with kinds and levels, keys of the
/// other slots, repeated names, bytes on disk and when loaded. Reads metadata, names and levels;
/// no matrix.
/// \throws Error for what is no AnnData; a part that can't be read is described by its error
[[nodiscard]] nlohmann::ordered_json describe_anndata(const std::filesystem::path& path);

/// Values of these cells (those that are there), as JSON: `begin`, `end`, `obs_names`, `obs` (a
/// list a column; null where missing), `var_names` and `var` (all genes), `X` (a list a row, with
/// its zeros; null if there is none), and `unreadable` (messages by element). \throws Error for
/// what is no AnnData
[[nodiscard]] nlohmann::ordered_json describe_rows(const std::filesystem::path& path, Range rows);

/// The groups and arrays in `group`, as JSON: `name`, `kind` (group, array, unreadable),
/// `encoding`, and either `children` or `dtype`, `shape`, `chunks`, `codecs`.
[[nodiscard]] nlohmann::ordered_json describe_tree(const Group& group);

/// The same for people to read.
[[nodiscard]] std::string info_text(const nlohmann::ordered_json& description);
/// The cells' names and columns as a table with tabs.
[[nodiscard]] std::string rows_text(const nlohmann::ordered_json& rows);
[[nodiscard]] std::string tree_text(const nlohmann::ordered_json& tree);

}  // namespace cellmill
