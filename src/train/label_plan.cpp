#include "train/label_plan.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "cellmill/core/random.hpp"

namespace cellmill {
namespace {

class EvenPlan final : public LabelPlan {
 public:
  EvenPlan(std::vector<std::int64_t> rows_of_labels, std::int64_t n_places, std::uint64_t seed,
           std::uint64_t epoch)
      : rows_(std::move(rows_of_labels)),
        n_places_(n_places),
        offset_(static_cast<std::int64_t>(CounterRng(seed, 5).below(epoch, rows_.size()))) {}

  [[nodiscard]] std::vector<std::int64_t> first_rows(std::int64_t place) const override {
    std::vector<std::int64_t> first;
    for (const std::int64_t rows : rows_) {
      first.push_back(static_cast<std::int64_t>(static_cast<__int128>(rows) * place /
                                                static_cast<__int128>(n_places_)));
    }
    return first;
  }

  [[nodiscard]] std::vector<std::int32_t> labels(Range places) const override {
    std::vector<std::int32_t> labels;
    labels.reserve(static_cast<std::size_t>(places.size()));
    const auto n_labels = static_cast<std::int64_t>(rows_.size());
    for (std::int64_t place = places.begin; place < places.end; ++place) {
      labels.push_back(static_cast<std::int32_t>((place + offset_) % n_labels));
    }
    return labels;
  }

 private:
  std::vector<std::int64_t> rows_;  ///< of each label
  std::int64_t n_places_;
  std::int64_t offset_;
};

/// Time is a whole number from 0 to `end`: exact, and the same on any machine.
class ProportionalPlan final : public LabelPlan {
 public:
  ProportionalPlan(std::vector<std::int64_t> rows_of_labels, std::uint64_t seed,
                   std::uint64_t epoch)
      : rows_(std::move(rows_of_labels)) {
    const CounterRng rng(CounterRng(seed, 6).bits(epoch), 0);
    for (std::size_t label = 0; label < rows_.size(); ++label) {
      phase_.push_back(rng.below(label, end));
    }
  }

  [[nodiscard]] std::vector<std::int64_t> first_rows(std::int64_t place) const override {
    // The last moment at which not more rows came than there are places before this one.
    std::uint64_t low = 0;
    std::uint64_t high = end;
    while (low < high) {
      const std::uint64_t middle = low + (high - low + 1) / 2;
      std::int64_t came = 0;
      for (std::size_t label = 0; label < rows_.size(); ++label) came += rows_by(middle, label);
      if (came <= place) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    std::vector<std::int64_t> counts;
    for (std::size_t label = 0; label < rows_.size(); ++label) {
      counts.push_back(rows_by(low, label));
    }
    // Rows that come at the next moment together do so in the order of their labels.
    std::int64_t left = place - std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
    for (std::size_t label = 0; label < rows_.size() && left > 0; ++label) {
      if (rows_by(low + 1, label) == counts[label]) continue;
      ++counts[label];
      --left;
    }
    return counts;
  }

  [[nodiscard]] std::vector<std::int32_t> labels(Range places) const override {
    const std::vector<std::int64_t> begin = first_rows(places.begin);
    const std::vector<std::int64_t> stop = first_rows(places.end);
    std::vector<std::pair<std::uint64_t, std::int32_t>> coming;
    coming.reserve(static_cast<std::size_t>(places.size()));
    for (std::size_t label = 0; label < rows_.size(); ++label) {
      for (std::int64_t number = begin[label]; number < stop[label]; ++number) {
        coming.emplace_back(moment_of(number, label), static_cast<std::int32_t>(label));
      }
    }
    std::sort(coming.begin(), coming.end());
    std::vector<std::int32_t> labels;
    labels.reserve(coming.size());
    for (const auto& [moment, label] : coming) labels.push_back(label);
    return labels;
  }

 private:
  static constexpr int bits = 62;
  static constexpr std::uint64_t end = std::uint64_t{1} << bits;

  /// Rows of a label that came up to and at a moment.
  [[nodiscard]] std::int64_t rows_by(std::uint64_t moment, std::size_t label) const {
    return static_cast<std::int64_t>(
        (static_cast<unsigned __int128>(rows_[label]) * moment + phase_[label]) >> bits);
  }
  /// The first moment at which more than `number` rows of a label came.
  [[nodiscard]] std::uint64_t moment_of(std::int64_t number, std::size_t label) const {
    const auto rows = static_cast<unsigned __int128>(rows_[label]);
    const unsigned __int128 reached =
        (static_cast<unsigned __int128>(number + 1) << bits) - phase_[label];
    return static_cast<std::uint64_t>((reached + rows - 1) / rows);
  }

  std::vector<std::int64_t> rows_;
  std::vector<std::uint64_t> phase_;  ///< of each label, in [0, end)
};

}  // namespace

std::unique_ptr<LabelPlan> make_even_plan(std::vector<std::int64_t> rows_of_labels,
                                          std::int64_t n_places, std::uint64_t seed,
                                          std::uint64_t epoch) {
  return std::make_unique<EvenPlan>(std::move(rows_of_labels), n_places, seed, epoch);
}

std::unique_ptr<LabelPlan> make_proportional_plan(std::vector<std::int64_t> rows_of_labels,
                                                  std::uint64_t seed, std::uint64_t epoch) {
  return std::make_unique<ProportionalPlan>(std::move(rows_of_labels), seed, epoch);
}

}  // namespace cellmill
