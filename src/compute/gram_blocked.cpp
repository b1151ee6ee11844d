#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "cpu_kernels.hpp"
#include "gram.hpp"
#include "gram_plan.hpp"
#include "gram_segment.hpp"

namespace cellmill {

namespace {

constexpr std::int32_t kMaxHot = 1024;  ///< bounds the tile: 8 MB an add
constexpr std::int64_t kPadding = 4;    ///< places behind a cold row, for the lists' padding

/// What one add needs beside the state.
struct Scratch {
  explicit Scratch(const GramPlan& plan)
      : segment(plan),
        hot(static_cast<std::size_t>(GramSegment::kBandRows * segment.tile_width())),
        cold(static_cast<std::size_t>(plan.n_cold + kPadding), 0.0F) {}

  [[nodiscard]] std::int64_t bytes() const {
    return segment.bytes() + static_cast<std::int64_t>(hot.capacity() * sizeof(float) +
                                                       cold.capacity() * sizeof(float));
  }

  GramSegment segment;
  std::vector<float> hot;  ///< a band's rows × tile width
  /// One row; from the next row's place on it is zero between uses (before it, groups of four leave
  /// what nobody reads).
  std::vector<float> cold;
};

class BlockedGram final : public GramAccumulator {
 public:
  BlockedGram(const GramOptions& options, const CpuKernels& kernels)
      : plan_(options, kMaxHot),
        kernels_(kernels),
        scale_(std::ldexp(1.0, plan_.state_bits)),
        state_(static_cast<std::size_t>(plan_.state_size()), 0),
        rows_(std::make_unique<std::mutex[]>(static_cast<std::size_t>(plan_.n_genes))) {
    for (const double density : options.density) expected_row_ += std::clamp(density, 0.0, 1.0);
  }

  void add(const CsrView& segment) override {
    plan_.check_shape(segment);
    if (segment.n_rows() == 0 || plan_.n_genes == 0) return;
    std::unique_ptr<Scratch> scratch = take_scratch();
    scratch->segment.load(segment);
    std::fill(scratch->cold.begin(), scratch->cold.end(), 0.0F);
    plan_.count_cells(cells_, segment.n_rows());
    // All adds take the rows in this order. A row is computed in several times the time that its
    // lock is held, so adds that begin together soon follow one another without waiting.
    for (std::int64_t begin = 0; begin < plan_.n_genes;) {
      const std::int64_t stop = begin < plan_.n_cold ? plan_.n_cold : plan_.n_genes;
      const std::int64_t end = std::min<std::int64_t>(begin + GramSegment::kBandRows, stop);
      add_band(*scratch, begin, end);
      begin = end;
    }
    give_scratch(std::move(scratch));
  }

  std::span<std::int64_t> state() override { return state_; }

  [[nodiscard]] Covariance covariance(std::int64_t n_cells) const override {
    return plan_.covariance(state_, n_cells);
  }

  [[nodiscard]] std::int64_t state_bytes() const override {
    return static_cast<std::int64_t>(state_.size() * sizeof(std::int64_t) +
                                     static_cast<std::size_t>(plan_.n_genes) * sizeof(std::mutex));
  }

  /// From the densities, with room for rows half as full again; what was seen if it was more.
  [[nodiscard]] std::int64_t scratch_bytes() const override {
    const double nnz = 1.5 * expected_row_ * static_cast<double>(kSegmentRows);
    constexpr std::size_t kBytesPerNonZero =
        2 * sizeof(GramEntry) + sizeof(std::uint16_t) + sizeof(float);
    const auto expected = Scratch(plan_).bytes() +
                          static_cast<std::int64_t>(nnz * static_cast<double>(kBytesPerNonZero));
    return std::max(expected, largest_scratch_.load());
  }

 private:
  void add_band(Scratch& scratch, std::int64_t begin, std::int64_t end) {
    GramSegment& segment = scratch.segment;
    segment.transpose(begin, end);
    const std::int64_t width = segment.tile_width();
    if (width > 0) {
      for (std::int64_t tile = 0; tile < segment.n_tiles(); ++tile) {
        for (std::int64_t p = begin; p < end; ++p) {
          const std::int64_t column = first_column(p);
          const std::span<const GramEntry> entries = segment.entries(p, tile);
          kernels_.tile_columns(segment.tile() + column, segment.tile_stride(), entries.data(),
                                static_cast<std::int64_t>(entries.size()),
                                scratch.hot.data() + (p - begin) * width + column, width - column,
                                tile == 0 ? Into::set : Into::add);
        }
      }
    }
    for (std::int64_t p = begin; p < end; ++p) add_row(scratch, p, (p - begin) * width);
  }

  void add_row(Scratch& scratch, std::int64_t p, std::int64_t hot_begin) {
    const std::span<const GramEntry> entries = scratch.segment.entries(p);
    const auto n_entries = static_cast<std::int64_t>(entries.size());
    if (n_entries == 0) return;
    const std::int64_t n_cold = std::max<std::int64_t>(plan_.n_cold - p, 0);
    float* cold = scratch.cold.data();
    if (n_cold > 0) kernels_.cold_row(scratch.segment.cold(), entries.data(), n_entries, cold);
    const GramSums sums = kernels_.sum_values(entries.data(), n_entries);
    const std::int64_t slot = std::max<std::int64_t>(p - plan_.n_cold, 0);
    float* hot = scratch.hot.data() + hot_begin + slot;
    // The diagonal is taken from the sums in double: rounding there would bias every variance.
    double diagonal = sums.squares;
    if (n_cold > 0) {
      cold[p] = 0;
    } else {
      diagonal -= static_cast<double>(plan_.shift_at(p)) * sums.values;
      hot[0] = 0;
    }
    const std::int64_t row = plan_.row_begin(p);
    const std::scoped_lock lock(rows_[static_cast<std::size_t>(p)]);
    state_[static_cast<std::size_t>(p)] += std::llrint(sums.values * scale_);
    state_[static_cast<std::size_t>(row)] += std::llrint(diagonal * scale_);
    kernels_.flush(state_.data() + row, cold + p, n_cold, hot, plan_.n_hot - slot, scale_);
  }

  /// The first column of the tile that row p needs: hot genes need those from their own on.
  [[nodiscard]] std::int64_t first_column(std::int64_t p) const {
    constexpr std::int64_t kVector = 16;
    return p < plan_.n_cold ? 0 : (p - plan_.n_cold) / kVector * kVector;
  }

  std::unique_ptr<Scratch> take_scratch() {
    {
      const std::scoped_lock lock(pool_mutex_);
      if (!pool_.empty()) {
        std::unique_ptr<Scratch> scratch = std::move(pool_.back());
        pool_.pop_back();
        return scratch;
      }
    }
    return std::make_unique<Scratch>(plan_);
  }

  void give_scratch(std::unique_ptr<Scratch> scratch) {
    const std::scoped_lock lock(pool_mutex_);
    largest_scratch_ = std::max(largest_scratch_.load(), scratch->bytes());
    pool_.push_back(std::move(scratch));
  }

  GramPlan plan_;
  const CpuKernels& kernels_;
  double scale_;
  std::vector<std::int64_t> state_;
  std::unique_ptr<std::mutex[]> rows_;  ///< one for each row of the state
  std::atomic<std::int64_t> cells_{0};
  double expected_row_ = 0;
  std::mutex pool_mutex_;
  std::vector<std::unique_ptr<Scratch>> pool_;
  std::atomic<std::int64_t> largest_scratch_{0};
};

}  // namespace

std::unique_ptr<GramAccumulator> make_blocked_gram(const GramOptions& options,
                                                   const CpuKernels& kernels) {
  return std::make_unique<BlockedGram>(options, kernels);
}

}  // namespace cellmill
