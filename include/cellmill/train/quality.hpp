#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "cellmill/train/obs_values.hpp"
#include "cellmill/train/order.hpp"
#include "cellmill/train/row_blocks.hpp"
#include "cellmill/train/schedule.hpp"

namespace cellmill {

/// How random batches are: what is measured of them, against what batches of rows drawn at random
/// without replacement would give (docs/numerics.md, "Randomness of batches").
struct QualityReport {
  std::int64_t batches = 0;  ///< with at least one row
  std::int64_t rows = 0;     ///< without padding

  /// Mean distance of row numbers.
  struct Spread {
    double measured = 0;
    double sequential = 0;  ///< of rows as they come
    double random = 0;
    /// SLAF's score: 0 as they come, 1 as at random; a little above 1 by chance. 1 where no order
    /// could differ.
    [[nodiscard]] double score() const {
      return random == sequential ? 1 : (measured - sequential) / (random - sequential);
    }
  };
  std::optional<Spread> within;  ///< pairs of a batch; none without a batch of two rows
  std::optional<Spread> across;  ///< same places of two batches one after the other; none if one

  struct Measure {
    double measured = 0;
    double random = 0;
    [[nodiscard]] double ratio() const { return random == 0 ? 1 : measured / random; }
  };
  /// Means over batches.
  struct Labels {
    Measure entropy;    ///< Shannon's, of a batch's labels, in bits
    Measure distinct;   ///< labels in a batch
    Measure variation;  ///< total variation distance of a batch's label frequencies to the rows'
  };
  std::optional<Labels> labels;  ///< none unless there are labels and a batch
};

/// Measures batches as they come, in memory of one batch and a number per label.
class Quality {
 public:
  /// \param rows those in use \param rows_of_labels how many of them have each label; what is
  /// missing to all rows has none, which counts as a label more. Empty: labels are not measured.
  /// \throws Error(usage) if labels have more rows than there are
  explicit Quality(const RowBlocks& rows, std::span<const std::int64_t> rows_of_labels = {});

  /// The next batch of one reader. \param rows −1: padding, passed over \param labels of each row,
  /// below 0: none; as many as rows, or empty if labels are not measured
  /// \throws Error(usage) for a label that is not there, or if there are not as many as rows
  void add(std::span<const std::int64_t> rows, std::span<const std::int64_t> labels = {});

  [[nodiscard]] QualityReport report() const;

 private:
  void add_spread(std::span<const std::int64_t> rows);
  void add_labels(std::span<const std::int64_t> rows, std::span<const std::int64_t> labels);

  std::int64_t n_rows_;
  double mean_distance_;                      ///< of two rows in use
  double mean_step_;                          ///< from one row in use to the next
  std::vector<std::int64_t> rows_of_labels_;  ///< the last one: none
  bool has_labels_;

  std::int64_t batches_ = 0;
  std::int64_t rows_ = 0;
  std::map<std::int64_t, std::int64_t> batches_of_size_;
  std::vector<std::int64_t> last_;     ///< rows of the last batch
  std::vector<std::int64_t> current_;  ///< rows of this one
  struct Mean {
    double sum = 0;
    double count = 0;
    [[nodiscard]] double value() const { return count == 0 ? 0 : sum / count; }
  };
  Mean within_, within_sequential_, across_, across_sequential_;
  double entropy_ = 0;  ///< sums over batches
  double distinct_ = 0;
  double variation_ = 0;
  std::vector<std::int64_t> count_of_label_;  ///< in this batch; zeros between batches
  std::vector<std::size_t> met_;              ///< labels of this batch
};

/// Measures the first batches of an epoch that a reader is handed; no matrix is read.
/// \param rows those that the order is of \param labels a column with codes; null: none
/// \throws Error(usage) for a column of numbers
[[nodiscard]] QualityReport measure_order(const Order& order, const Schedule& schedule,
                                          std::int64_t epoch, std::int64_t most_batches,
                                          const RowBlocks& rows, const ObsValues* labels = nullptr);

}  // namespace cellmill
