#include "cellmill/train/loader.hpp"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/memory.hpp"
#include "order.hpp"

namespace cellmill::python {
namespace {

using Rows = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// As the program does at its start; here only where batches are made, since it is for the whole
/// process.
void keep_buffers() {
  static const bool kept = [] {
    keep_small_buffers();
    return true;
  }();
  (void)kept;
}

nb::object matrix_array(const std::shared_ptr<Batch>& batch, std::size_t m, const char* part,
                        nb::handle owner) {
  BatchMatrix& matrix = batch->matrices.at(m);
  const std::string_view name = part;
  const auto nnz = static_cast<std::size_t>(matrix.nnz());
  if (name == "indptr") return nb::cast(array_over(std::span(matrix.indptr), owner));
  if (name == "indices") return nb::cast(array_over(std::span(matrix.indices).first(nnz), owner));
  return nb::cast(array_over(std::span(matrix.values).first(nnz), owner));
}

template <class Value, class Stored>
nb::object tokens_of(RawVector<Stored>& stored, const Batch& batch, nb::handle owner) {
  static_assert(sizeof(Value) == sizeof(Stored));
  const auto rows = static_cast<std::size_t>(batch.n_rows());
  const auto length = static_cast<std::size_t>(batch.tokens.length);
  return nb::cast(nb::ndarray<nb::numpy, Value>(reinterpret_cast<Value*>(stored.data()),
                                                {rows, length}, owner));
}

nb::object token_array(Batch& batch, std::string_view part, nb::handle owner) {
  BatchTokens& tokens = batch.tokens;
  if (part == "input_ids") return tokens_of<std::int64_t>(tokens.ids, batch, owner);
  if (part == "attention_mask") return tokens_of<bool>(tokens.attention_mask, batch, owner);
  return tokens_of<float>(part == "values" ? tokens.values : tokens.masked_values, batch, owner);
}

nb::object rows_by_columns(RawVector<float>& values, std::size_t rows, nb::handle owner) {
  const std::size_t columns = rows == 0 ? 0 : values.size() / rows;
  return nb::cast(nb::ndarray<nb::numpy, float>(values.data(), {rows, columns}, owner));
}

}  // namespace

void bind_loader(nb::module_& module) {
  nb::class_<ReadOptions>(module, "ReadOptions")
      .def(nb::init<>())
      .def_rw("matrices", &ReadOptions::matrices)
      .def_rw("obs", &ReadOptions::obs)
      .def_rw("obs_levels", &ReadOptions::obs_levels)
      .def_rw("obsm", &ReadOptions::obsm)
      .def_rw("genes", &ReadOptions::genes, nb::arg().none())
      .def_rw("tokens", &ReadOptions::tokens, nb::arg().none())
      .def("set_selection",
           [](ReadOptions& o, const std::string& kind, std::int64_t count) {
             o.selection = {kind == "random_expressed" ? GeneSelection::Kind::random_expressed
                                                       : GeneSelection::Kind::most_expressed,
                            count};
           })
      .def_rw("seed", &ReadOptions::seed)
      .def_rw("threads", &ReadOptions::threads)
      .def_rw("memory", &ReadOptions::memory)
      .def("set_dense", [](ReadOptions& o) { o.layout = BatchLayout::dense; })
      .def("set_join",
           [](ReadOptions& o, const std::string& join) {
             if (join != "inner" && join != "outer") {
               throw usage_error("join: '" + join + "' found, expected inner or outer");
             }
             o.join = join == "outer" ? GeneJoin::outer : GeneJoin::inner;
           })
      .def(
          "set_transform",
          [](ReadOptions& o, std::optional<double> target_sum, bool log1p) {
            o.transform = {target_sum, log1p};
          },
          nb::arg("target_sum").none(), nb::arg("log1p"));

  nb::class_<Batch>(module, "Batch")
      .def("__len__", &Batch::n_rows)
      .def_ro("global_batch", &Batch::global_batch)
      .def("rows",
           [](nb::handle self) { return array_over(std::span(nb::cast<Batch&>(self).rows), self); })
      .def(
          "genes",
          [](nb::handle self) { return array_over(std::span(nb::cast<Batch&>(self).genes), self); })
      .def("n_cols", [](const Batch& batch, std::size_t m) { return batch.matrices.at(m).n_cols; })
      .def("csr",
           [](nb::handle self, std::size_t m) {
             const auto batch = nb::cast<std::shared_ptr<Batch>>(self);
             return nb::make_tuple(matrix_array(batch, m, "indptr", self),
                                   matrix_array(batch, m, "indices", self),
                                   matrix_array(batch, m, "values", self));
           })
      .def("dense",
           [](nb::handle self, std::size_t m) {
             auto& batch = nb::cast<Batch&>(self);
             const auto rows = static_cast<std::size_t>(batch.n_rows());
             BatchMatrix& matrix = batch.matrices.at(m);
             return nb::cast(nb::ndarray<nb::numpy, float>(
                 matrix.dense.data(), {rows, static_cast<std::size_t>(matrix.n_cols)}, self));
           })
      .def("tokens",
           [](nb::handle self, const std::string& part) {
             return token_array(nb::cast<Batch&>(self), part, self);
           })
      .def("obsm",
           [](nb::handle self, std::size_t k) {
             auto& batch = nb::cast<Batch&>(self);
             return rows_by_columns(batch.obsm.at(k), static_cast<std::size_t>(batch.n_rows()),
                                    self);
           })
      .def("obs", [](nb::handle self, std::size_t c) {
        Batch::Column& column = nb::cast<Batch&>(self).obs.at(c);
        return column.numbers.empty() ? nb::cast(array_over(std::span(column.integers), self))
                                      : nb::cast(array_over(std::span(column.numbers), self));
      });

  nb::class_<Loader>(module, "Loader")
      .def("__init__",
           [](Loader* self, std::shared_ptr<Dataset> data, const PyOrder& order,
              const ReadOptions& options, int reader, int readers) {
             nb::gil_scoped_release unlocked;
             keep_buffers();
             new (self) Loader(std::move(data), order.order, order.tail, options,
                               Loader::Reader{reader, readers});
           })
      .def("go_to",
           [](Loader& loader, std::int64_t epoch, std::int64_t first) {
             nb::gil_scoped_release unlocked;
             loader.go_to({epoch, first});
           })
      .def("next",
           [](Loader& loader) {
             nb::gil_scoped_release unlocked;
             return loader.next(check_signals);
           })
      .def("steps", &Loader::steps, nb::arg("first") = 0)
      .def("genes", &Loader::genes)
      .def("obs", &Loader::obs, nb::rv_policy::reference_internal)
      .def("counts", [](const Loader& loader) {
        const ReadCounts counts = loader.counts();
        nb::dict found;
        found["rows"] = counts.rows;
        found["rows_read"] = counts.rows_read;
        found["bytes_fetched"] = counts.bytes_fetched;
        return found;
      });

  nb::class_<RowGatherer>(module, "RowGatherer")
      .def("__init__",
           [](RowGatherer* self, std::shared_ptr<Dataset> data, const ReadOptions& options) {
             nb::gil_scoped_release unlocked;
             keep_buffers();
             new (self) RowGatherer(std::move(data), options);
           })
      .def("rows",
           [](RowGatherer& gatherer, const Rows& rows) {
             const std::span wanted(rows.data(), rows.shape(0));
             nb::gil_scoped_release unlocked;
             return gatherer.rows(wanted);
           })
      .def("genes", &RowGatherer::genes)
      .def("obs", &RowGatherer::obs, nb::rv_policy::reference_internal);
}

}  // namespace cellmill::python
