#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cellmill/train/tokenizer.hpp"

namespace cellmill {

// The tokenizers, one file each, and what they share.
// ------------------------------------------------------------------------------------------------

[[nodiscard]] std::unique_ptr<Tokenizer> make_geneformer(const GeneformerOptions& options,
                                                         const std::vector<std::string>& genes);
[[nodiscard]] std::unique_ptr<Tokenizer> make_scgpt(const ScGptOptions& options,
                                                    const std::vector<std::string>& genes);
[[nodiscard]] std::unique_ptr<Tokenizer> make_rank_value(const RankValueOptions& options,
                                                         const std::vector<std::string>& genes);

/// A gene without a token.
inline constexpr std::int32_t no_token = -1;

/// Of each column where its gene is in the vocabulary, or −1. \throws Error(input) if that is so of
/// all
[[nodiscard]] std::vector<std::int32_t> places_in(const Vocabulary& vocabulary,
                                                  const std::vector<std::string>& genes,
                                                  std::string_view tokenizer);

/// Of each column its token, or no_token. \throws Error(input) if no column has one
[[nodiscard]] std::vector<std::int32_t> tokens_of(const Vocabulary& vocabulary,
                                                  const std::vector<std::string>& genes,
                                                  std::string_view tokenizer);

/// \throws Error(usage) unless a cell has room for a gene
void check_length(std::string_view tokenizer, std::int64_t max_length, std::int64_t n_special);

/// The id of one of the special tokens that an options struct has.
[[nodiscard]] std::int64_t special_id(const TokenizerOptions& options, std::int32_t n_genes,
                                      std::string_view name);

/// \throws Error(input) naming the first value that is infinite or NaN
void check_finite(std::span<const float> values);

/// \throws Error(input) naming the first value that is no count: a whole number from 0
void check_counts(std::span<const float> values);

}  // namespace cellmill
