#include <algorithm>
#include <numeric>

#include "train/rank_sort.hpp"
#include "train/tokenizers.hpp"

namespace cellmill {
namespace {

struct Scratch {
  RawVector<double> values;
  RawVector<std::int32_t> ids;
  RankSort sort;
};

class RankValue final : public Tokenizer {
 public:
  RankValue(const RankValueOptions& options, const std::vector<std::string>& genes)
      : ids_(genes.size()) {
    max_length_ = options.max_length;
    check_length("RankValue", max_length_, 0);
    pad_id_ = special_id(options, static_cast<std::int32_t>(genes.size()), "<pad>");
    has_values_ = true;
    if (options.vocabulary) {
      ids_ = tokens_of(*options.vocabulary, genes, "RankValue");
    } else {
      std::iota(ids_.begin(), ids_.end(), 0);
    }
  }

  [[nodiscard]] std::int64_t tokens(const TokenInput& cell, const TokenDraws& /*draws*/,
                                    const TokenOutput& out) const override {
    thread_local Scratch of_thread;
    Scratch& scratch = of_thread;
    check_finite(cell.values);
    const std::size_t count = cell.values.size();
    if (scratch.values.size() < count) {
      scratch.values.resize(count);
      scratch.ids.resize(count);
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const std::int32_t id = ids_[static_cast<std::size_t>(cell.columns[i])];
      scratch.values[kept] = static_cast<double>(cell.values[i]);
      scratch.ids[kept] = id;
      kept += id != no_token && cell.values[i] != 0 ? 1 : 0;
    }
    const std::span<const std::uint32_t> order =
        scratch.sort.falling(std::span(scratch.values.data(), kept));
    const std::size_t length = std::min(kept, static_cast<std::size_t>(max_length_));
    for (std::size_t i = 0; i < length; ++i) {
      out.ids[i] = scratch.ids[order[i]];
      out.values[i] = static_cast<float>(scratch.values[order[i]]);
    }
    return static_cast<std::int64_t>(length);
  }

 private:
  std::vector<std::int32_t> ids_;  ///< of each column
};

}  // namespace

std::unique_ptr<Tokenizer> make_rank_value(const RankValueOptions& options,
                                           const std::vector<std::string>& genes) {
  return std::make_unique<RankValue>(options, genes);
}

}  // namespace cellmill
