#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/train/label_order.hpp"
#include "cellmill/train/paired_order.hpp"
#include "cellmill/train/weighted_order.hpp"
#include "order.hpp"

namespace cellmill::python {
namespace {

template <class T>
using Array = nb::ndarray<const T, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Rows = std::optional<Array<std::int64_t>>;

Tail tail_of(const std::string& name) {
  if (name == "drop") return Tail::drop;
  if (name == "pad") return Tail::pad;
  if (name == "wrap") return Tail::wrap;
  if (name == "keep") return Tail::keep;
  throw usage_error("tail: '" + name + "' found, expected drop, pad, wrap or keep");
}

/// What all orders are made of.
struct Common {
  Common(const std::vector<std::int64_t>& rows_of_sources, const Rows& chosen, std::int64_t block,
         const OrderOptions& the_options)
      : rows(rows_of_sources, block,
             chosen ? std::optional(std::vector<std::int64_t>(chosen->data(),
                                                              chosen->data() + chosen->shape(0)))
                    : std::nullopt),
        options(the_options) {}
  [[nodiscard]] PyOrder with(std::shared_ptr<const Order> order) const {
    return {std::move(order), options.tail, rows};
  }
  RowBlocks rows;
  OrderOptions options;
};

/// An array of Python's as weights; let go of with the interpreter's lock held.
template <class T>
RowWeights weights_over(const Array<T>& array) {
  const std::shared_ptr<const void> owner(new Array<T>(array), [](const void* held) {
    const nb::gil_scoped_acquire lock;
    delete static_cast<const Array<T>*>(held);
  });
  return {std::span<const T>(array.data(), array.shape(0)), owner};
}

PyOrder weighted(const Common& common, RowWeights weights, std::int64_t warmup_epochs,
                 std::int64_t window) {
  const nb::gil_scoped_release unlocked;
  if (warmup_epochs == 0) {
    return common.with(
        make_weighted_order(common.rows, std::move(weights), window, common.options));
  }
  return common.with(make_curriculum_order(common.rows, std::move(weights), warmup_epochs, window,
                                           common.options));
}

PyOrder paired(const Common& common, const ObsValues& condition, const std::string& control,
               const std::vector<const ObsValues*>& match, std::int64_t window) {
  const nb::gil_scoped_release unlocked;
  const RowLabels conditions = labels_of(condition);
  const ConditionRows rows = split_conditions(common.rows, conditions, control);
  return {
      make_paired_order(rows, conditions, control, combined_labels(match, common.rows.n_all_rows()),
                        window, common.options),
      common.options.tail, rows.cells};
}

}  // namespace

void bind_orders(nb::module_& module) {
  nb::class_<PyOrder>(module, "Order")
      .def_prop_ro("lanes", [](const PyOrder& self) { return self.order->lanes(); })
      .def_prop_ro("batches", [](const PyOrder& self) {
        return self.order->lanes() * self.order->lane_batches();
      });

  nb::class_<Common>(module, "OrderParts")
      .def(
          "__init__",
          [](Common* self, const std::vector<std::int64_t>& rows_of_sources, const Rows& rows,
             std::int64_t block, std::int64_t batch_size, std::uint64_t seed, int lanes,
             const std::string& tail) {
            new (self)
                Common(rows_of_sources, rows, block, {batch_size, seed, lanes, tail_of(tail)});
          },
          nb::arg("rows_of_sources"), nb::arg("rows").none(), nb::arg("block"),
          nb::arg("batch_size"), nb::arg("seed"), nb::arg("lanes"), nb::arg("tail"))
      .def("sequential",
           [](const Common& common) {
             return common.with(make_sequential_order(common.rows, common.options));
           })
      .def("shuffled",
           [](const Common& common, std::int64_t window) {
             return common.with(make_shuffled_order(common.rows, window, common.options));
           })
      .def("weighted",
           [](const Common& common, const ObsValues& weights, std::int64_t warmup_epochs,
              std::int64_t window) {
             return weighted(common, weights_of(weights), warmup_epochs, window);
           })
      .def("weighted",
           [](const Common& common, const Array<double>& weights, std::int64_t warmup_epochs,
              std::int64_t window) {
             return weighted(common, weights_over(weights), warmup_epochs, window);
           })
      .def("weighted",
           [](const Common& common, const Array<float>& weights, std::int64_t warmup_epochs,
              std::int64_t window) {
             return weighted(common, weights_over(weights), warmup_epochs, window);
           })
      .def(
          "balanced",
          [](const Common& common, const ObsValues& by,
             const std::optional<std::vector<std::string>>& levels, std::int64_t window) {
            const nb::gil_scoped_release unlocked;
            return common.with(make_balanced_order(common.rows,
                                                   labels_of(levels ? by.with_levels(*levels) : by),
                                                   window, common.options));
          },
          nb::arg("by"), nb::arg("levels").none(), nb::arg("window"))
      .def("stratified",
           [](const Common& common, const ObsValues& by, std::int64_t window) {
             const nb::gil_scoped_release unlocked;
             return common.with(
                 make_stratified_order(common.rows, labels_of(by), window, common.options));
           })
      .def("paired", &paired);

  module.def("label_weights", [](const ObsValues& labels, const Array<std::int64_t>& rows) {
    std::vector<double> weights;
    {
      const nb::gil_scoped_release unlocked;
      weights = label_weights(labels, {rows.data(), rows.shape(0)});
    }
    return array_of(std::move(weights));
  });
}

}  // namespace cellmill::python
