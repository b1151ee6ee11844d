#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "cellmill/core/clones.hpp"
#include "cellmill/core/error.hpp"
#include "train/tokenizers.hpp"
#include "train/value_bins.hpp"

namespace cellmill {
namespace {

// One draw a gene: its upper 20 bits choose the bin (ValueBins), the next mask, the rest choose
// genes of long cells.
constexpr int choice_bits = 24;
constexpr int mask_bits = 20;
constexpr std::uint64_t choice_mask = (std::uint64_t{1} << choice_bits) - 1;
constexpr std::uint64_t mask_mask = (std::uint64_t{1} << mask_bits) - 1;

/// A cell's genes, and what is made of them, in the order of the columns.
struct Scratch {
  RawVector<std::int32_t> columns;
  RawVector<std::int32_t> ids;
  RawVector<float> values;
  RawVector<float> bin_of;
  RawVector<std::uint64_t> draws;
  std::vector<std::uint64_t> at_border;
  std::vector<std::int32_t> chosen;
  ValueBins bins;

  void make_room(std::size_t count) {
    if (columns.size() >= count) return;
    columns.resize(count);
    ids.resize(count);
    values.resize(count);
    bin_of.resize(count);
    draws.resize(count);
  }
};

/// What is made of a cell's genes, and which of them come.
struct Places {
  const std::int32_t* ids;
  const float* values;
  const std::uint64_t* draws;
  const std::int32_t* chosen;  ///< null: all
};

/// The tokens of columns. \returns whether all have one, and no value is zero
CELLMILL_WIDE_CLONES bool look_up(const std::int32_t* tokens, const std::int32_t* columns,
                                  const float* values, std::size_t count, std::int32_t* ids) {
  for (std::size_t i = 0; i < count; ++i) ids[i] = tokens[columns[i]];
  std::uint32_t without = 0;
  for (std::size_t i = 0; i < count; ++i) {
    without |=
        static_cast<std::uint32_t>(ids[i] == no_token) | static_cast<std::uint32_t>(values[i] == 0);
  }
  return without == 0;
}

CELLMILL_WIDE_CLONES void put_chosen(const Places& from, std::size_t count, std::int64_t* ids,
                                     float* values) {
  for (std::size_t i = 0; i < count; ++i) {
    ids[i] = from.ids[from.chosen[i]];
    values[i] = from.values[from.chosen[i]];
  }
}

/// Without a branch, which would be foretold wrongly each time a value is masked.
float masked(float value, std::uint64_t draw, std::uint64_t below, float mask_value) {
  const std::uint32_t is_masked = ((draw >> choice_bits) & mask_mask) < below ? ~0U : 0U;
  return std::bit_cast<float>((std::bit_cast<std::uint32_t>(value) & ~is_masked) |
                              (std::bit_cast<std::uint32_t>(mask_value) & is_masked));
}

CELLMILL_WIDE_CLONES void mask_all(const Places& from, std::size_t count, std::uint64_t below,
                                   float mask_value, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = masked(from.values[i], from.draws[i], below, mask_value);
  }
}

/// \param values that were chosen
CELLMILL_WIDE_CLONES void mask_chosen(const Places& from, std::size_t count, std::uint64_t below,
                                      float mask_value, const float* values, float* out) {
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = masked(values[i], from.draws[from.chosen[i]], below, mask_value);
  }
}

class ScGpt final : public Tokenizer {
 public:
  ScGpt(const ScGptOptions& options, const std::vector<std::string>& genes)
      : options_(options), ids_(tokens_of(*options.vocabulary, genes, "ScGPT")) {
    const auto n_genes = static_cast<std::int32_t>(genes.size());
    n_special_ = 1;
    max_length_ = options.max_length;
    check_length("ScGPT", max_length_, n_special_);
    pad_id_ = special_id(options, n_genes, "<pad>");
    cls_ = special_id(options, n_genes, "<cls>");
    pad_value_ = options.pad_value;
    has_values_ = true;
    has_masked_values_ = options.masking > 0;
    mask_below_ = static_cast<std::uint64_t>(std::llround(std::ldexp(options.masking, mask_bits)));
  }

  [[nodiscard]] std::int64_t tokens(const TokenInput& cell, const TokenDraws& draws,
                                    const TokenOutput& out) const override {
    thread_local Scratch of_thread;
    Scratch& scratch = of_thread;
    check_finite(cell.values);
    const Kept kept = keep_genes(cell, scratch);
    const std::size_t count = kept.values.size();
    const auto room = static_cast<std::size_t>(max_length_ - n_special_);
    if (options_.bins || has_masked_values_ || count > room) {
      draws.bits(cell.in_batch, kept.columns, scratch.draws.data());
    }
    Places from{scratch.ids.data(), kept.values.data(), scratch.draws.data(), nullptr};
    if (options_.bins) {
      scratch.bins.bin(kept.values, *options_.bins, {scratch.draws.data(), count},
                       {scratch.bin_of.data(), count});
      from.values = scratch.bin_of.data();
    }
    out.ids[0] = cls_;
    out.values[0] = 0;
    if (has_masked_values_) out.masked[0] = 0;
    if (count > room) {
      choose(count, room, scratch);
      from.chosen = scratch.chosen.data();
    }
    const std::size_t length = std::min(count, room);
    put(from, length, out);
    return static_cast<std::int64_t>(length) + 1;
  }

 private:
  /// Genes that have a token and are not zero, whose tokens are in the scratch.
  struct Kept {
    std::span<const std::int32_t> columns;
    std::span<const float> values;
  };
  Kept keep_genes(const TokenInput& cell, Scratch& scratch) const {
    const std::size_t count = cell.values.size();
    scratch.make_room(count);
    if (look_up(ids_.data(), cell.columns.data(), cell.values.data(), count, scratch.ids.data())) {
      return {cell.columns, cell.values};
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t id = scratch.ids[i];
      scratch.columns[kept] = cell.columns[i];
      scratch.ids[kept] = id;
      scratch.values[kept] = cell.values[i];
      kept += id != no_token && cell.values[i] != 0 ? 1 : 0;
    }
    return {{scratch.columns.data(), kept}, {scratch.values.data(), kept}};
  }

  /// The `room` genes with the smallest draws, by column.
  static void choose(std::size_t count, std::size_t room, Scratch& scratch) {
    // How many draws have which upper bits tells which are in, but for those that share the bits of
    // the last one.
    constexpr int bits = 10;
    const std::uint64_t* const draws = scratch.draws.data();
    const auto upper = [&](std::size_t i) {
      return (draws[i] & choice_mask) >> (choice_bits - bits);
    };
    const auto rank = [&](std::size_t i) { return ((draws[i] & choice_mask) << 32) | i; };
    std::array<std::uint32_t, std::size_t{1} << bits> with{};
    for (std::size_t i = 0; i < count; ++i) ++with[upper(i)];
    std::size_t border = 0;
    std::size_t below = 0;
    while (below + with[border] < room) below += with[border++];
    auto& at_border = scratch.at_border;
    at_border.clear();
    for (std::size_t i = 0; i < count; ++i) {
      if (upper(i) == border) at_border.push_back(rank(i));
    }
    std::sort(at_border.begin(), at_border.end());
    const std::uint64_t last = at_border[room - below - 1];
    scratch.chosen.resize(count);
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < count; ++i) {
      scratch.chosen[chosen] = static_cast<std::int32_t>(i);
      chosen += rank(i) <= last ? 1 : 0;
    }
  }

  /// Puts `count` genes behind `<cls>`.
  void put(const Places& from, std::size_t count, const TokenOutput& out) const {
    if (from.chosen != nullptr) {
      put_chosen(from, count, out.ids + 1, out.values + 1);
      if (has_masked_values_) {
        mask_chosen(from, count, mask_below_, options_.mask_value, out.values + 1, out.masked + 1);
      }
      return;
    }
    std::copy_n(from.ids, count, out.ids + 1);
    std::copy_n(from.values, count, out.values + 1);
    if (has_masked_values_) mask_all(from, count, mask_below_, options_.mask_value, out.masked + 1);
  }

  ScGptOptions options_;
  std::vector<std::int32_t> ids_;  ///< of each column
  std::int64_t cls_ = 0;
  std::uint64_t mask_below_ = 0;
};

}  // namespace

std::unique_ptr<Tokenizer> make_scgpt(const ScGptOptions& options,
                                      const std::vector<std::string>& genes) {
  if (options.bins && *options.bins < 2) {
    throw usage_error(fmt::format("ScGPT: binning {} found, expected 2 or more", *options.bins));
  }
  if (!(options.masking >= 0 && options.masking <= 1)) {
    throw usage_error(fmt::format("ScGPT: masking {} found, expected 0 to 1", options.masking));
  }
  return std::make_unique<ScGpt>(options, genes);
}

}  // namespace cellmill
