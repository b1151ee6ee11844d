#include "cellmill/train/tokenizer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "cellmill/core/clones.hpp"
#include "cellmill/core/error.hpp"
#include "train/gene_choice.hpp"
#include "train/tokenizers.hpp"

namespace cellmill {
namespace {

template <class... Bodies>
struct Overloaded : Bodies... {
  using Bodies::operator()...;
};
template <class... Bodies>
Overloaded(Bodies...) -> Overloaded<Bodies...>;

constexpr std::array<std::string_view, 4> geneformer_special{"<pad>", "<mask>", "<cls>", "<eos>"};
constexpr std::array<std::string_view, 3> scgpt_special{"<pad>", "<cls>", "<eoc>"};
constexpr std::array<std::string_view, 1> rank_special{"<pad>"};

const Vocabulary& vocabulary_of(const std::shared_ptr<const Vocabulary>& vocabulary,
                                std::string_view tokenizer) {
  if (!vocabulary) throw usage_error(fmt::format("{}: there is no vocabulary", tokenizer));
  return *vocabulary;
}

/// \returns whether all are counts: whole numbers from 0
CELLMILL_CLONES bool are_counts(std::span<const float> values) {
  // Below 2^23 a sum with it is rounded to a whole number; from there on all are whole.
  constexpr float bias = 8'388'608.0F;
  constexpr std::uint32_t bias_bits = std::bit_cast<std::uint32_t>(bias);
  constexpr std::uint32_t infinite = 0x7F800000U;
  constexpr std::uint32_t minus_zero = 0x80000000U;
  std::uint32_t bad = 0;
  for (const float value : values) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t whole = static_cast<std::uint32_t>((value + bias) - bias == value) |
                                static_cast<std::uint32_t>(bits >= bias_bits);
    const std::uint32_t count = (whole & static_cast<std::uint32_t>(bits < infinite)) |
                                static_cast<std::uint32_t>(bits == minus_zero);
    bad |= count ^ 1U;
  }
  return bad == 0;
}

/// \returns whether none is infinite or NaN
CELLMILL_CLONES bool are_finite(std::span<const float> values) {
  constexpr std::uint32_t exponent = 0x7F800000U;
  std::uint32_t bad = 0;
  for (const float value : values) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value) & exponent;
    bad |= static_cast<std::uint32_t>(bits == exponent);
  }
  return bad == 0;
}

}  // namespace

std::vector<SpecialToken> special_tokens(const TokenizerOptions& options, std::int32_t n_genes) {
  return std::visit(Overloaded{[](const GeneformerOptions& of) {
                                 // Version 1 has the first two only.
                                 return special_tokens(
                                     vocabulary_of(of.vocabulary, "Geneformer"),
                                     std::span(geneformer_special).first(of.version == 1 ? 2 : 4));
                               },
                               [](const ScGptOptions& of) {
                                 return special_tokens(vocabulary_of(of.vocabulary, "ScGPT"),
                                                       scgpt_special);
                               },
                               [&](const RankValueOptions& of) {
                                 if (of.vocabulary)
                                   return special_tokens(*of.vocabulary, rank_special);
                                 return std::vector<SpecialToken>{{"<pad>", n_genes, true}};
                               }},
                    options);
}

std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerOptions& options,
                                          const std::vector<std::string>& genes) {
  return std::visit(
      Overloaded{[&](const GeneformerOptions& of) { return make_geneformer(of, genes); },
                 [&](const ScGptOptions& of) { return make_scgpt(of, genes); },
                 [&](const RankValueOptions& of) { return make_rank_value(of, genes); }},
      options);
}

std::vector<std::int32_t> places_in(const Vocabulary& vocabulary,
                                    const std::vector<std::string>& genes,
                                    std::string_view tokenizer) {
  std::unordered_map<std::string_view, std::int32_t> place;
  for (std::size_t i = 0; i < vocabulary.names.size(); ++i) {
    place.emplace(vocabulary.names[i], static_cast<std::int32_t>(i));
  }
  std::vector<std::int32_t> places;
  bool found = false;
  for (const std::string& gene : genes) {
    const auto at = place.find(gene);
    places.push_back(at == place.end() ? -1 : at->second);
    found = found || at != place.end();
  }
  if (!found) throw no_match_error(tokenizer, vocabulary.names, genes);
  return places;
}

std::vector<std::int32_t> tokens_of(const Vocabulary& vocabulary,
                                    const std::vector<std::string>& genes,
                                    std::string_view tokenizer) {
  std::vector<std::int32_t> tokens = places_in(vocabulary, genes, tokenizer);
  for (std::int32_t& token : tokens) {
    token = token < 0 ? no_token : vocabulary.ids[static_cast<std::size_t>(token)];
  }
  return tokens;
}

void check_length(std::string_view tokenizer, std::int64_t max_length, std::int64_t n_special) {
  if (max_length > n_special) return;
  throw usage_error(fmt::format("{}: max_length {} found, expected {} or more", tokenizer,
                                max_length, n_special + 1));
}

std::int64_t special_id(const TokenizerOptions& options, std::int32_t n_genes,
                        std::string_view name) {
  for (const SpecialToken& token : special_tokens(options, n_genes)) {
    if (token.name == name) return token.id;
  }
  throw usage_error(fmt::format("there is no special token '{}'", name));
}

void check_finite(std::span<const float> values) {
  if (are_finite(values)) return;
  const auto bad = std::find_if_not(values.begin(), values.end(),
                                    [](float value) { return std::isfinite(value); });
  throw input_error(fmt::format("value {} found, expected a finite number", *bad));
}

void check_counts(std::span<const float> values) {
  if (are_counts(values)) return;
  const auto bad = std::find_if(values.begin(), values.end(), [](float value) {
    return !(value >= 0) || std::isinf(value) || std::floor(value) != value;
  });
  throw input_error(fmt::format(
      "value {} found, expected raw counts: Geneformer takes no transformed values", *bad));
}

}  // namespace cellmill
