#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <unordered_map>
#include <utility>

#include "cellmill/core/error.hpp"
#include "train/gene_choice.hpp"
#include "train/rank_sort.hpp"
#include "train/tokenizers.hpp"

namespace cellmill {
namespace {

constexpr double target_sum = 1e4;
/// Counts below it are divided by a cell's total once a cell.
constexpr std::size_t n_small = 64;

/// Buffers of a thread, for a cell at a time.
struct Scratch {
  RawVector<double> scaled;     ///< of each value: count / total · 10,000, then over the median
  RawVector<double> medians;    ///< of each value
  RawVector<double> kept;       ///< those above 0
  RawVector<std::int32_t> ids;  ///< of `kept`
  RankSort sort;
  std::vector<std::pair<std::int32_t, float>> entries;  ///< where columns are added up
  std::vector<std::int32_t> columns;
  std::vector<float> values;
};

class Geneformer final : public Tokenizer {
 public:
  Geneformer(const GeneformerOptions& options, const std::vector<std::string>& genes)
      : percentile_(options.percentile) {
    const Vocabulary& vocabulary = *options.vocabulary;
    const auto n_genes = static_cast<std::int32_t>(genes.size());
    n_special_ = options.version == 1 ? 0 : 2;
    max_length_ = options.max_length.value_or(options.version == 1 ? 2048 : 4096);
    check_length("Geneformer", max_length_, n_special_);
    pad_id_ = special_id(options, n_genes, "<pad>");
    needs_total_ = true;
    if (options.version == 2) {
      cls_ = special_id(options, n_genes, "<cls>");
      eos_ = special_id(options, n_genes, "<eos>");
    }
    const std::vector<std::int32_t> places = places_in(vocabulary, genes, "Geneformer");
    // What has no token or no median is infinitely far from being expressed.
    medians_.assign(genes.size(), std::numeric_limits<double>::infinity());
    ids_.assign(genes.size(), no_token);
    bool any = false;
    for (std::size_t column = 0; column < genes.size(); ++column) {
      if (places[column] < 0) continue;
      const auto place = static_cast<std::size_t>(places[column]);
      if (vocabulary.medians.empty() || std::isnan(vocabulary.medians[place])) continue;
      medians_[column] = vocabulary.medians[place];
      ids_[column] = vocabulary.ids[place];
      any = true;
    }
    if (!any) throw input_error("Geneformer: no gene of the data has a median in the dictionary");
    if (options.version == 2) find_shared_ids();
  }

  [[nodiscard]] std::int64_t tokens(const TokenInput& cell, const TokenDraws& /*draws*/,
                                    const TokenOutput& out) const override {
    thread_local Scratch of_thread;
    Scratch& scratch = of_thread;
    check_counts(cell.values);
    const std::size_t kept = first_column_.empty()
                                 ? scale(cell.columns, cell.values, cell.total, scratch)
                                 : scale_added_up(cell, scratch);
    const std::span values(scratch.kept.data(), kept);
    const std::span<const std::uint32_t> order = scratch.sort.falling(values);
    std::size_t count = std::min(kept, static_cast<std::size_t>(max_length_ - n_special_));
    if (percentile_) count = std::min(count, above_percentile(values, order));
    std::int64_t* at = out.ids;
    if (n_special_ > 0) *at++ = cls_;
    for (std::size_t i = 0; i < count; ++i) *at++ = scratch.ids[order[i]];
    if (n_special_ > 0) *at++ = eos_;
    return at - out.ids;
  }

 private:
  void find_shared_ids() {
    std::unordered_map<std::int32_t, std::int32_t> first;
    std::vector<std::int32_t> first_column(ids_.size());
    bool shared = false;
    for (std::size_t column = 0; column < ids_.size(); ++column) {
      const auto here = static_cast<std::int32_t>(column);
      first_column[column] = here;
      if (ids_[column] == no_token) continue;
      const auto [at, is_new] = first.emplace(ids_[column], here);
      first_column[column] = at->second;
      shared = shared || !is_new;
    }
    if (shared) first_column_ = std::move(first_column);
  }

  /// Fills `kept` and `ids` of the scratch. \returns how many
  std::size_t scale(std::span<const std::int32_t> columns, std::span<const float> values,
                    double total, Scratch& scratch) const {
    const std::size_t count = values.size();
    if (scratch.scaled.size() < count) {
      scratch.scaled.resize(count);
      scratch.medians.resize(count);
      scratch.kept.resize(count);
      scratch.ids.resize(count);
    }
    if (!(total > 0)) return 0;
    std::array<double, n_small> small{};
    for (std::size_t i = 0; i < n_small; ++i) {
      small[i] = static_cast<double>(i) / total * target_sum;
    }
    double* const scaled = scratch.scaled.data();
    double* const medians = scratch.medians.data();
    for (std::size_t i = 0; i < count; ++i) {
      const float value = values[i];
      medians[i] = medians_[static_cast<std::size_t>(columns[i])];
      scaled[i] = value < static_cast<float>(n_small)
                      ? small[static_cast<std::size_t>(static_cast<std::int32_t>(value))]
                      : static_cast<double>(value) / total * target_sum;
    }
    for (std::size_t i = 0; i < count; ++i) scaled[i] /= medians[i];
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      scratch.kept[kept] = scaled[i];
      scratch.ids[kept] = ids_[static_cast<std::size_t>(columns[i])];
      kept += scaled[i] > 0 ? 1 : 0;
    }
    return kept;
  }

  std::size_t scale_added_up(const TokenInput& cell, Scratch& scratch) const {
    auto& entries = scratch.entries;
    entries.clear();
    for (std::size_t i = 0; i < cell.values.size(); ++i) {
      entries.emplace_back(first_column_[static_cast<std::size_t>(cell.columns[i])],
                           cell.values[i]);
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    scratch.columns.clear();
    scratch.values.clear();
    for (const auto& [column, value] : entries) {
      if (!scratch.columns.empty() && scratch.columns.back() == column) {
        scratch.values.back() += value;
      } else {
        scratch.columns.push_back(column);
        scratch.values.push_back(value);
      }
    }
    return scale(scratch.columns, scratch.values, cell.total, scratch);
  }

  [[nodiscard]] std::size_t above_percentile(std::span<const double> values,
                                             std::span<const std::uint32_t> order) const {
    if (order.empty()) return 0;
    std::int64_t distinct = 1;
    for (std::size_t i = 1; i < order.size(); ++i) {
      distinct += values[order[i]] != values[order[i - 1]] ? 1 : 0;
    }
    const double least = *percentile_ * static_cast<double>(distinct) / 100;
    std::int64_t rank = distinct;
    for (std::size_t i = 0; i < order.size(); ++i) {
      rank -= i > 0 && values[order[i]] != values[order[i - 1]] ? 1 : 0;
      if (static_cast<double>(rank) < least) return i;
    }
    return order.size();
  }

  std::optional<double> percentile_;
  std::int64_t cls_ = 0;
  std::int64_t eos_ = 0;
  std::vector<double> medians_;  ///< of each column; infinite: no token
  std::vector<std::int32_t> ids_;
  std::vector<std::int32_t> first_column_;  ///< of those with the same id; empty: none share one
};

}  // namespace

std::unique_ptr<Tokenizer> make_geneformer(const GeneformerOptions& options,
                                           const std::vector<std::string>& genes) {
  if (options.version != 1 && options.version != 2) {
    throw usage_error(
        fmt::format("Geneformer: version {} found, expected 1 or 2", options.version));
  }
  if (options.percentile && !(*options.percentile >= 0 && *options.percentile <= 100)) {
    throw usage_error(
        fmt::format("Geneformer: percentile {} found, expected 0 to 100", *options.percentile));
  }
  return std::make_unique<Geneformer>(options, genes);
}

}  // namespace cellmill
