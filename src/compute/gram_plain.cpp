#include <algorithm>
#include <cmath>
#include <mutex>
#include <vector>

#include "cellmill/core/error.hpp"
#include "gram.hpp"
#include "gram_plan.hpp"

namespace cellmill {

namespace {

class PlainGram final : public GramAccumulator {
 public:
  explicit PlainGram(const GramOptions& options)
      : plan_(options, 0), state_(static_cast<std::size_t>(plan_.state_size()), 0) {}

  void add(const CsrView& segment) override {
    plan_.check_shape(segment);
    std::vector<double> sums(state_.size(), 0.0);
    for (std::int64_t r = 0; r < segment.n_rows(); ++r) {
      const auto row = static_cast<std::size_t>(r);
      const auto begin = static_cast<std::size_t>(segment.indptr[row] - segment.indptr[0]);
      const auto end = static_cast<std::size_t>(segment.indptr[row + 1] - segment.indptr[0]);
      for (std::size_t i = begin; i < end; ++i) {
        const GramPlan::Gene& gene = plan_.genes[static_cast<std::size_t>(segment.indices[i])];
        if (!(std::abs(segment.values[i]) <= gene.limit)) plan_.throw_bad_value(segment);
        const double value = static_cast<double>(segment.values[i]) * gene.scale;
        sums[gene.position] += value;
        double* triangle_row = sums.data() + plan_.row_begin(gene.position) - gene.position;
        for (std::size_t j = i; j < end; ++j) {
          const GramPlan::Gene& other = plan_.genes[static_cast<std::size_t>(segment.indices[j])];
          triangle_row[other.position] +=
              value * (static_cast<double>(segment.values[j]) * other.scale);
        }
      }
    }
    const std::scoped_lock lock(mutex_);
    plan_.count_cells(cells_, segment.n_rows());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      state_[i] += std::llrint(std::ldexp(sums[i], plan_.state_bits));
    }
  }

  std::span<std::int64_t> state() override { return state_; }

  [[nodiscard]] Covariance covariance(std::int64_t n_cells) const override {
    return plan_.covariance(state_, n_cells);
  }

  [[nodiscard]] std::int64_t state_bytes() const override {
    return static_cast<std::int64_t>(state_.size() * sizeof(std::int64_t));
  }
  [[nodiscard]] std::int64_t scratch_bytes() const override {
    return static_cast<std::int64_t>(state_.size() * sizeof(double));
  }

 private:
  GramPlan plan_;
  std::mutex mutex_;
  std::vector<std::int64_t> state_;
  std::atomic<std::int64_t> cells_{0};
};

}  // namespace

std::unique_ptr<GramAccumulator> make_plain_gram(const GramOptions& options) {
  return std::make_unique<PlainGram>(options);
}

}  // namespace cellmill
