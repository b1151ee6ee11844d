#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.hpp"
#include "cellmill/train/quality.hpp"
#include "cellmill/train/state.hpp"
#include "order.hpp"

namespace cellmill::python {
namespace {

nb::dict measured(const QualityReport::Measure& measure) {
  nb::dict found;
  found["measured"] = measure.measured;
  found["random"] = measure.random;
  return found;
}

nb::dict measured(const QualityReport& report) {
  nb::dict found;
  found["batches"] = report.batches;
  found["rows"] = report.rows;
  if (report.within) found["within"] = report.within->score();
  if (report.across) found["across"] = report.across->score();
  if (report.labels) {
    found["entropy"] = measured(report.labels->entropy);
    found["distinct"] = measured(report.labels->distinct);
    found["variation"] = measured(report.labels->variation);
  }
  return found;
}

}  // namespace

void bind_position(nb::module_& module) {
  nb::class_<LoaderState>(module, "LoaderState")
      .def_static(
          "make",
          [](const PyOrder& order, std::uint64_t seed, std::int64_t epoch, std::int64_t batches,
             std::uint64_t data) { return make_state(*order.order, seed, epoch, batches, data); })
      .def_static("parse", [](const std::string& text) { return state_from_json(text); })
      .def("to_json", &to_json)
      .def("check", [](const LoaderState& state, const PyOrder& order,
                       std::uint64_t data) { check(state, *order.order, data); })
      .def_ro("epoch", &LoaderState::epoch)
      .def_ro("batches", &LoaderState::batches)
      .def_ro("lanes", &LoaderState::lanes);

  module.def(
      "measure_order",
      [](const PyOrder& order, int reader, int readers, std::int64_t epoch,
         std::int64_t most_batches, const ObsValues* labels) {
        QualityReport report;
        {
          const nb::gil_scoped_release unlocked;
          report = measure_order(*order.order, Schedule(*order.order, order.tail, reader, readers),
                                 epoch, most_batches, order.rows, labels);
        }
        return measured(report);
      },
      nb::arg("order"), nb::arg("reader"), nb::arg("readers"), nb::arg("epoch"),
      nb::arg("most_batches"), nb::arg("labels").none());
}

}  // namespace cellmill::python
