#include "train/token_writer.hpp"

#include <algorithm>
#include <cstring>

namespace cellmill {
namespace {

std::size_t at(std::int64_t row, std::int64_t length) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(length);
}

/// Moves rows from `room` elements apart to `length` apart and pads them.
template <class T>
void pad(RawVector<T>& values, std::span<const std::int32_t> lengths, std::int64_t room,
         std::int64_t length, T with) {
  if (values.empty()) return;
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    const auto number = static_cast<std::int64_t>(row);
    T* const to = values.data() + at(number, length);
    if (room != length) {
      std::memmove(to, values.data() + at(number, room),
                   static_cast<std::size_t>(lengths[row]) * sizeof(T));
    }
    std::fill(to + lengths[row], to + length, with);
  }
}

}  // namespace

TokenWriter::TokenWriter(const Tokenizer& tokenizer, const TokenDraws& draws, std::int64_t rows,
                         std::int64_t most_genes, BatchTokens& out)
    : tokenizer_(tokenizer),
      draws_(draws),
      room_(std::min(tokenizer.max_length(), most_genes + tokenizer.n_special())),
      out_(out) {
  const std::size_t all = at(rows, room_);
  resize_for_reuse(out.ids, all);
  resize_for_reuse(out.values, tokenizer.has_values() ? all : 0);
  resize_for_reuse(out.masked_values, tokenizer.has_masked_values() ? all : 0);
  out.lengths.assign(static_cast<std::size_t>(rows), 0);
}

void TokenWriter::add(const TokenInput& cell) {
  const std::size_t begin = at(cell.in_batch, room_);
  const auto part = [&](RawVector<float>& values) {
    return values.empty() ? nullptr : values.data() + begin;
  };
  const TokenOutput out{out_.ids.data() + begin, part(out_.values), part(out_.masked_values)};
  out_.lengths[cell.in_batch] = static_cast<std::int32_t>(tokenizer_.tokens(cell, draws_, out));
}

void TokenWriter::finish() {
  const std::span<const std::int32_t> lengths = out_.lengths;
  out_.length = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
  pad(out_.ids, lengths, room_, out_.length, tokenizer_.pad_id());
  pad(out_.values, lengths, room_, out_.length, tokenizer_.pad_value());
  pad(out_.masked_values, lengths, room_, out_.length, tokenizer_.pad_value());
  resize_for_reuse(out_.attention_mask, at(static_cast<std::int64_t>(lengths.size()), out_.length));
  for (std::size_t row = 0; row < lengths.size(); ++row) {
    std::uint8_t* const mask =
        out_.attention_mask.data() + at(static_cast<std::int64_t>(row), out_.length);
    std::fill_n(mask, lengths[row], std::uint8_t{1});
    std::fill(mask + lengths[row], mask + out_.length, std::uint8_t{0});
  }
}

}  // namespace cellmill
