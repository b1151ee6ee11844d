#include "cellmill/train/quality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/random.hpp"
#include "cellmill/core/text.hpp"
#include "train/random_batches.hpp"

namespace cellmill {
namespace {

constexpr std::int64_t most_pairs = 100;  ///< of a batch, as SLAF takes

/// Mean of |a − b| over all pairs of rows in use.
double mean_distance(const RowBlocks& rows) {
  const std::int64_t n = rows.n_rows();
  if (n < 2) return 0;
  if (rows.row(n - 1) - rows.row(0) == n - 1) return static_cast<double>(n + 1) / 3;
  // The row at position i is the larger of i pairs and the smaller of n − 1 − i.
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    sum += static_cast<double>(2 * i - (n - 1)) * static_cast<double>(rows.row(i) - rows.row(0));
  }
  return sum / (static_cast<double>(n) * static_cast<double>(n - 1) / 2);
}

double mean_step(const RowBlocks& rows) {
  const std::int64_t n = rows.n_rows();
  return n < 2 ? 0
               : static_cast<double>(rows.row(n - 1) - rows.row(0)) / static_cast<double>(n - 1);
}

double distance(std::int64_t a, std::int64_t b) { return static_cast<double>(std::abs(a - b)); }

}  // namespace

Quality::Quality(const RowBlocks& rows, std::span<const std::int64_t> rows_of_labels)
    : n_rows_(rows.n_rows()),
      mean_distance_(mean_distance(rows)),
      mean_step_(mean_step(rows)),
      rows_of_labels_(rows_of_labels.begin(), rows_of_labels.end()),
      has_labels_(!rows_of_labels.empty()) {
  const std::int64_t labelled =
      std::accumulate(rows_of_labels.begin(), rows_of_labels.end(), std::int64_t{0});
  if (labelled > n_rows_) {
    throw usage_error(fmt::format("labels: {} rows have one, but there are {} rows",
                                  grouped(labelled), grouped(n_rows_)));
  }
  rows_of_labels_.push_back(n_rows_ - labelled);
  count_of_label_.assign(rows_of_labels_.size(), 0);
}

void Quality::add(std::span<const std::int64_t> rows, std::span<const std::int64_t> labels) {
  if (has_labels_ && labels.size() != rows.size()) {
    throw usage_error(
        fmt::format("labels: {} found for a batch of {} rows", labels.size(), rows.size()));
  }
  if (has_labels_) add_labels(rows, labels);
  current_.clear();
  std::copy_if(rows.begin(), rows.end(), std::back_inserter(current_),
               [](std::int64_t row) { return row >= 0; });
  if (current_.empty()) return;
  add_spread(current_);
  const auto size = static_cast<std::int64_t>(current_.size());
  ++batches_;
  rows_ += size;
  ++batches_of_size_[size];
  std::swap(last_, current_);
}

void Quality::add_spread(std::span<const std::int64_t> rows) {
  const auto size = static_cast<std::int64_t>(rows.size());
  const auto at = [](std::span<const std::int64_t> of, std::uint64_t place) {
    return of[static_cast<std::size_t>(place)];
  };
  if (size > 1) {
    const CounterRng rng(0, static_cast<std::uint64_t>(batches_));
    const std::int64_t pairs = std::min(most_pairs, size * (size - 1) / 2);
    for (std::int64_t pair = 0; pair < pairs; ++pair) {
      const auto draw = static_cast<std::uint64_t>(2 * pair);
      const std::uint64_t a = rng.below(draw, static_cast<std::uint64_t>(size));
      const std::uint64_t other = rng.below(draw + 1, static_cast<std::uint64_t>(size - 1));
      within_.sum += distance(at(rows, a), at(rows, other < a ? other : other + 1));
    }
    within_.count += static_cast<double>(pairs);
    within_sequential_.sum +=
        static_cast<double>(pairs) * mean_step_ * static_cast<double>(size + 1) / 3;
    within_sequential_.count += static_cast<double>(pairs);
  }
  if (last_.empty()) return;
  const std::int64_t common = std::min(size, static_cast<std::int64_t>(last_.size()));
  const std::int64_t pairs = std::min(most_pairs, common);
  for (std::int64_t pair = 0; pair < pairs; ++pair) {
    const auto place = static_cast<std::uint64_t>(pair * common / pairs);
    across_.sum += distance(at(rows, place), at(last_, place));
  }
  across_.count += static_cast<double>(pairs);
  // As they come, a row is as far from the one before as the batch between them has rows.
  across_sequential_.sum +=
      static_cast<double>(pairs) * mean_step_ * static_cast<double>(last_.size());
  across_sequential_.count += static_cast<double>(pairs);
}

void Quality::add_labels(std::span<const std::int64_t> rows, std::span<const std::int64_t> labels) {
  const std::size_t none = rows_of_labels_.size() - 1;
  for (const std::int64_t label : labels) {
    if (label >= static_cast<std::int64_t>(none)) {
      throw usage_error(fmt::format("labels: {} found, expected 0 to {}", label,
                                    static_cast<std::int64_t>(none) - 1));
    }
  }
  met_.clear();
  std::int64_t size = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0) continue;
    const std::size_t label = labels[i] < 0 ? none : static_cast<std::size_t>(labels[i]);
    if (count_of_label_[label]++ == 0) met_.push_back(label);
    ++size;
  }
  if (size == 0) return;
  // Of all labels half the frequencies' distance is 1/2 where none is met; those met change it.
  double entropy = 0;
  double variation = 1;
  for (const std::size_t label : met_) {
    const double part = static_cast<double>(count_of_label_[label]) / static_cast<double>(size);
    const double frequency =
        static_cast<double>(rows_of_labels_[label]) / static_cast<double>(n_rows_);
    entropy -= part * std::log2(part);
    variation += std::abs(part - frequency) - frequency;
    count_of_label_[label] = 0;
  }
  entropy_ += entropy;
  variation_ += variation / 2;
  distinct_ += static_cast<double>(met_.size());
}

QualityReport Quality::report() const {
  QualityReport report;
  report.batches = batches_;
  report.rows = rows_;
  if (within_.count > 0) {
    report.within =
        QualityReport::Spread{within_.value(), within_sequential_.value(), mean_distance_};
  }
  if (across_.count > 0) {
    report.across =
        QualityReport::Spread{across_.value(), across_sequential_.value(), mean_distance_};
  }
  if (!has_labels_ || batches_ == 0) return report;
  const auto all = static_cast<double>(batches_);
  QualityReport::Labels labels;
  labels.entropy.measured = entropy_ / all;
  labels.distinct.measured = distinct_ / all;
  labels.variation.measured = variation_ / all;
  for (const auto& [size, batches] : batches_of_size_) {
    const RandomBatch random = expected_random_batch(rows_of_labels_, size);
    const double part = static_cast<double>(batches) / all;
    labels.entropy.random += part * random.entropy;
    labels.distinct.random += part * random.distinct;
    labels.variation.random += part * random.variation;
  }
  report.labels = labels;
  return report;
}

}  // namespace cellmill
