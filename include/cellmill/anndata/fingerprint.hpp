#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cellmill/anndata/anndata.hpp"

namespace cellmill {

// What an interrupted run was made of, so that a later one goes on with it only if nothing changed.
// A fingerprint is a JSON object on one line: options, and for each input what tells it from what
// it was before. Outputs of the same fingerprint are equal.
// ------------------------------------------------------------------------------------------------

/// On one line; what is not UTF-8 in a path is replaced.
[[nodiscard]] std::string json_line(const nlohmann::json& document);

/// Adds to `fingerprint`, under `input` and its whole path, an input's age, size and shape.
void add_input(nlohmann::json& fingerprint, const AnnData& data);

/// The first thing in which two of them differ, as `option: found X, now Y`; empty if in nothing.
[[nodiscard]] std::string fingerprint_difference(const std::string& found, const std::string& now);

/// Whether what stands at `output` is an AnnData with this fingerprint in `uns/cellmill`.
[[nodiscard]] bool is_finished(const std::filesystem::path& output, const std::string& fingerprint);

}  // namespace cellmill
