#pragma once

#include <cstdint>
#include <vector>

#include "cellmill/train/batch.hpp"
#include "cellmill/train/tokenizer.hpp"

namespace cellmill {

/// Writes the tokens of a batch: cells come one by one, then all are padded to the longest.
class TokenWriter {
 public:
  /// \param rows of the batch; those that never come are padding from end to end
  /// \param most_genes that a cell has
  TokenWriter(const Tokenizer& tokenizer, const TokenDraws& draws, std::int64_t rows,
              std::int64_t most_genes, BatchTokens& out);
  /// \param cell its place in the batch is where it goes; rising from cell to cell
  /// \throws what the tokenizer throws
  void add(const TokenInput& cell);
  void finish();

 private:
  const Tokenizer& tokenizer_;
  TokenDraws draws_;
  std::int64_t room_;  ///< tokens from cell to cell, until finished
  BatchTokens& out_;
};

}  // namespace cellmill
