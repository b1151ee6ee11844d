#pragma once

#include <cstdint>
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

/// An integer of a document; nlohmann's own conversion takes any number, by an undefined cast.
/// \throws Error(input) for what is none, or lies outside [lowest, highest]
[[nodiscard]] std::int64_t json_integer(const nlohmann::json& value, std::int64_t lowest,
                                        std::int64_t highest);

/// The document in a file; nothing if there is no such file. \throws Error(io), Error(input), both
/// naming the file
[[nodiscard]] std::optional<nlohmann::json> read_json_file(const std::filesystem::path& path);
[[nodiscard]] std::optional<nlohmann::json> read_json(const ByteStore& store,
                                                      const std::string& key);
void write_json_file(const std::filesystem::path& path, const nlohmann::json& document);

}  // namespace cellmill
