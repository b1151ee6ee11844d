#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

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
  std::vector<std::uint32_t> chosen;
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
    check_finite(cell);
    const std::size_t count = keep_genes(cell, scratch);
    const auto room = static_cast<std::size_t>(max_length_ - n_special_);
    if (options_.bins || has_masked_values_ || count > room) {
      std::uint64_t* const to = scratch.draws.data();
      for (std::size_t i = 0; i < count; ++i) to[i] = draws.bits(cell.in_batch, scratch.columns[i]);
    }
    const float* shown = scratch.values.data();
    if (options_.bins) {
      scratch.bins.bin({shown, count}, *options_.bins, {scratch.draws.data(), count},
                       {scratch.bin_of.data(), count});
      shown = scratch.bin_of.data();
    }
    out.ids[0] = cls_;
    out.values[0] = 0;
    if (has_masked_values_) out.masked[0] = 0;
    if (count <= room) {
      put(scratch, shown, count, out, [](std::size_t i) { return i; });
      return static_cast<std::int64_t>(count) + 1;
    }
    choose(count, room, scratch);
    put(scratch, shown, room, out, [&](std::size_t i) { return scratch.chosen[i]; });
    return max_length_;
  }

 private:
  std::size_t keep_genes(const TokenInput& cell, Scratch& scratch) const {
    scratch.make_room(cell.values.size());
    std::size_t kept = 0;
    for (std::size_t i = 0; i < cell.values.size(); ++i) {
      const std::int32_t id = ids_[static_cast<std::size_t>(cell.columns[i])];
      scratch.columns[kept] = cell.columns[i];
      scratch.ids[kept] = id;
      scratch.values[kept] = cell.values[i];
      kept += id != no_token && cell.values[i] != 0 ? 1 : 0;
    }
    return kept;
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
      scratch.chosen[chosen] = static_cast<std::uint32_t>(i);
      chosen += rank(i) <= last ? 1 : 0;
    }
  }

  /// Puts `count` genes behind `<cls>`. \param place of the i-th of them
  template <class Place>
  void put(const Scratch& scratch, const float* shown, std::size_t count, const TokenOutput& out,
           Place place) const {
    for (std::size_t i = 0; i < count; ++i) {
      out.ids[i + 1] = scratch.ids[place(i)];
      out.values[i + 1] = shown[place(i)];
    }
    if (!has_masked_values_) return;
    const auto mask_value = std::bit_cast<std::uint32_t>(options_.mask_value);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t draw = (scratch.draws[place(i)] >> choice_bits) & mask_mask;
      // Without a branch, which would be foretold wrongly each time a value is masked.
      const std::uint32_t masked = draw < mask_below_ ? ~0U : 0U;
      const auto value = std::bit_cast<std::uint32_t>(shown[place(i)]);
      out.masked[i + 1] = std::bit_cast<float>((value & ~masked) | (mask_value & masked));
    }
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
