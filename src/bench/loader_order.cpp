#include "bench/loader_order.hpp"

#include <array>
#include <numeric>
#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/train/label_order.hpp"
#include "cellmill/train/paired_order.hpp"
#include "cellmill/train/weighted_order.hpp"

namespace cellmill {

std::shared_ptr<const Order> bench_order(const Dataset& data, const LoaderBenchOptions& options,
                                         std::int64_t batch_size) {
  const RowBlocks blocks(data.rows_of_sources(), options.block);
  const OrderOptions common{batch_size, 0, 1, Tail::drop};
  if (options.order == "shuffle") return make_shuffled_order(blocks, options.window, common);
  const std::shared_ptr<const ObsValues> by = data.obs(options.by);
  if (options.order == "weighted") {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(data.n_obs()));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
    return make_weighted_order(blocks, RowWeights(label_weights(*by, rows)), options.window,
                               common);
  }
  if (options.order == "balanced") {
    return make_balanced_order(blocks, labels_of(*by), options.window, common);
  }
  if (options.order == "stratified") {
    return make_stratified_order(blocks, labels_of(*by), options.window, common);
  }
  if (options.order == "paired") {
    const RowLabels condition = labels_of(*data.obs(options.condition));
    const std::array<const ObsValues*, 1> match{by.get()};
    return make_paired_order(split_conditions(blocks, condition, options.control), condition,
                             options.control, combined_labels(match, data.n_obs()), options.window,
                             common);
  }
  throw usage_error("order: '" + options.order +
                    "' found, expected shuffle, weighted, balanced, stratified or paired");
}

}  // namespace cellmill
