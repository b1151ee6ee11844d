#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cellmill {

/// Which token each gene is.
struct Vocabulary {
  std::vector<std::string> names;  ///< of genes and of special tokens (`<pad>`), each once
  std::vector<std::int32_t> ids;   ///< of each; genes may share one
  std::vector<double> medians;     ///< of each, above 0; NaN: none. Empty if none has one
};

/// Reads `.json`, an object of names and ids, or a table: columns separated by tabs, named in the
/// first line; the first one has the names, `token` the ids and `median`, if it is there, the
/// medians.
/// \throws Error(not_found), Error(input) as check does, and naming the line that can't be read
[[nodiscard]] Vocabulary read_vocabulary(const std::filesystem::path& path);

/// Writes a table that read_vocabulary() reads: `gene`, `token`, then `median` if the vocabulary
/// has any and `n_cells`, as many as there are names, unless these are none. \throws Error(io)
void write_vocabulary(const std::filesystem::path& path, const Vocabulary& vocabulary,
                      std::span<const std::int64_t> n_cells = {});

/// \throws Error(input) if there are no names, names repeat, an id is below 0, or a median is not
/// above 0
void check(const Vocabulary& vocabulary);

struct SpecialToken {
  std::string name;
  std::int32_t id = 0;
  bool appended = false;  ///< the vocabulary has none of this name
};

/// Special tokens in the order of their names; those that a vocabulary lacks get the ids after its
/// last one, in that order.
[[nodiscard]] std::vector<SpecialToken> special_tokens(const Vocabulary& vocabulary,
                                                       std::span<const std::string_view> names);

}  // namespace cellmill
