#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "cellmill/core/random.hpp"
#include "cellmill/train/vocabulary.hpp"

namespace cellmill {

// How a cell becomes tokens (docs/training.md, "Tokens"). Genes that a vocabulary lacks, and zeros,
// are passed over.
// ------------------------------------------------------------------------------------------------

/// Genes by x = count / total · 10,000 / median falling, ties by column rising; the total is over
/// all genes of the cell. In float64, in this order of operations.
struct GeneformerOptions {
  std::shared_ptr<const Vocabulary> vocabulary;  ///< with medians
  /// 1: genes only. 2: `<cls>` first and `<eos>` last; counts of genes that share an id are added
  /// up.
  int version = 1;
  std::optional<std::int64_t> max_length;  ///< with special tokens; none: 2,048, of version 2 4,096
  /// Only x whose rank is at least percentile · (largest rank) / 100; ranks count distinct x from
  /// the smallest, 1.
  std::optional<double> percentile;
};

/// `<cls>` and then the cell's genes by column, with their values: the bin of each, or as they are.
/// Of a cell with more genes a random part comes.
struct ScGptOptions {
  std::shared_ptr<const Vocabulary> vocabulary;
  /// Bins, with that of zeros: edges are quantiles 0, 1/(bins − 2), …, 1 of the cell's values, as
  /// numpy computes them; a value gets a random one of the bins whose edges it equals, otherwise
  /// its own: 1 to bins − 1.
  std::optional<int> bins = 51;
  std::int64_t max_length = 2048;  ///< with `<cls>`
  double masking = 0.15;           ///< chance of each value to be masked; 0: no masked values
  float mask_value = -1;
  float pad_value = 0;
};

/// Genes by value falling, ties by column rising, with their values.
struct RankValueOptions {
  std::shared_ptr<const Vocabulary> vocabulary;  ///< null: a gene's token is its column
  std::int64_t max_length = 2048;
};

using TokenizerOptions = std::variant<GeneformerOptions, ScGptOptions, RankValueOptions>;

/// The special tokens that it uses, or that belong to its model. \param n_genes columns
[[nodiscard]] std::vector<SpecialToken> special_tokens(const TokenizerOptions& options,
                                                       std::int32_t n_genes);

/// A cell as a tokenizer sees it.
struct TokenInput {
  std::span<const std::int32_t> columns;  ///< rising
  std::span<const float> values;
  double total = 0;            ///< of the values of all genes, those without a column too
  std::uint32_t in_batch = 0;  ///< its place there
};

/// Room for max_length tokens of a cell.
struct TokenOutput {
  std::int64_t* ids = nullptr;
  float* values = nullptr;  ///< null unless has_values()
  float* masked = nullptr;  ///< null unless has_masked_values()
};

/// Random numbers of a batch: a pure function of these and of the place and column that they are
/// for, so that threads don't matter.
class TokenDraws {
 public:
  TokenDraws(std::uint64_t seed, std::int64_t epoch, std::int64_t global_batch)
      : rng_(seed ^ 0x746F6B656E73ULL, (static_cast<std::uint64_t>(epoch) << 40) +
                                           static_cast<std::uint64_t>(global_batch)) {}
  [[nodiscard]] std::uint64_t bits(std::uint32_t in_batch, std::int32_t column) const {
    return rng_.bits((std::uint64_t{in_batch} << 32) | static_cast<std::uint32_t>(column));
  }
  /// The same for each of some columns. \param out room for as many
  void bits(std::uint32_t in_batch, std::span<const std::int32_t> columns,
            std::uint64_t* out) const;

 private:
  CounterRng rng_;
};

/// Makes tokens of cells whose columns are known genes. Thread-safe.
class Tokenizer {
 public:
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  virtual ~Tokenizer() = default;

  [[nodiscard]] std::int64_t max_length() const { return max_length_; }
  /// Tokens of a cell beside its genes.
  [[nodiscard]] std::int64_t n_special() const { return n_special_; }
  [[nodiscard]] std::int64_t pad_id() const { return pad_id_; }
  [[nodiscard]] float pad_value() const { return pad_value_; }
  [[nodiscard]] bool has_values() const { return has_values_; }
  [[nodiscard]] bool has_masked_values() const { return has_masked_values_; }
  /// Whether TokenInput::total matters.
  [[nodiscard]] bool needs_total() const { return needs_total_; }

  /// \returns how many tokens the cell has. \throws Error(input) for values that it can't be made
  /// of: for Geneformer what is no count
  [[nodiscard]] virtual std::int64_t tokens(const TokenInput& cell, const TokenDraws& draws,
                                            const TokenOutput& out) const = 0;

 protected:
  Tokenizer() = default;
  std::int64_t max_length_ = 0;  // NOLINTBEGIN(*-non-private-member-*): set once, by who derives
  std::int64_t n_special_ = 0;
  std::int64_t pad_id_ = 0;
  float pad_value_ = 0;
  bool has_values_ = false;
  bool has_masked_values_ = false;
  bool needs_total_ = false;  // NOLINTEND(*-non-private-member-*)
};

/// \param genes of the columns
/// \throws Error(input) if no gene has a token (for Geneformer, and a median), Error(usage) for
/// options out of range
[[nodiscard]] std::unique_ptr<Tokenizer> make_tokenizer(const TokenizerOptions& options,
                                                        const std::vector<std::string>& genes);

}  // namespace cellmill
