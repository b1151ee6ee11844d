#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "storage/byte_store.hpp"

namespace cellmill {

/// JSON as Python's json module writes it: bare NaN, Infinity and -Infinity are numbers.
/// \throws Error(input) that says where the text goes wrong
[[nodiscard]] nlohmann::json parse_json(std::string_view text);
[[nodiscard]] std::string json_text(const nlohmann::json& document);

/// The document in a file; nothing if there is no such file. \throws Error(io), Error(input), both
/// naming the file
[[nodiscard]] std::optional<nlohmann::json> read_json_file(const std::filesystem::path& path);
[[nodiscard]] std::optional<nlohmann::json> read_json(const ByteStore& store,
                                                      const std::string& key);
void write_json_file(const std::filesystem::path& path, const nlohmann::json& document);

}  // namespace cellmill
