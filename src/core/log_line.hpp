#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace cellmill {

/// A line of the JSON log at level `info`, with fields beside the usual ones; nothing if the level
/// leaves it out.
void log_record(const std::string& message, const nlohmann::ordered_json& more);

}  // namespace cellmill
