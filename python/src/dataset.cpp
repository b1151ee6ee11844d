#include "cellmill/train/dataset.hpp"

#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "cellmill/anndata/paths.hpp"

namespace cellmill::python {
namespace {

std::shared_ptr<const Dataset> open(const std::vector<std::string>& paths,
                                    const std::optional<std::string>& gene_key,
                                    const std::map<std::string, std::string>& gene_map) {
  nb::gil_scoped_release unlocked;
  return Dataset::open({expand_paths(paths), gene_key, GeneMap(gene_map.begin(), gene_map.end())});
}

std::span<const std::int64_t> span_of(
    const nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>& rows) {
  return {rows.data(), rows.shape(0)};
}

nb::object all_values(const ObsValues& column) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(column.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  if (column.kind() == ObsValues::Kind::numbers) {
    std::vector<double> numbers(rows.size());
    column.gather(rows, numbers);
    return nb::cast(array_of(std::move(numbers)));
  }
  std::vector<std::int64_t> integers(rows.size());
  column.gather(rows, integers);
  return nb::cast(array_of(std::move(integers)));
}

}  // namespace

void bind_dataset(nb::module_& module) {
  nb::class_<ObsValues>(module, "ObsValues")
      .def_prop_ro("name", &ObsValues::name)
      .def_prop_ro("kind",
                   [](const ObsValues& column) {
                     return column.kind() == ObsValues::Kind::codes      ? "codes"
                            : column.kind() == ObsValues::Kind::integers ? "integers"
                                                                         : "numbers";
                   })
      .def_prop_ro("levels", [](const ObsValues& column) { return column.levels().to_vector(); })
      .def_prop_ro("ordered", &ObsValues::ordered)
      .def("values", &all_values)
      .def("__len__", &ObsValues::size);

  nb::class_<Dataset>(module, "Dataset")
      .def_static(
          "open",
          [](const std::vector<std::string>& paths, const std::optional<std::string>& gene_key,
             const std::map<std::string, std::string>& gene_map) {
            return std::const_pointer_cast<Dataset>(open(paths, gene_key, gene_map));
          })
      .def_prop_ro("n_obs", &Dataset::n_obs)
      .def_prop_ro("rows_of_sources", &Dataset::rows_of_sources)
      .def_prop_ro("paths",
                   [](const Dataset& data) {
                     std::vector<std::string> paths;
                     for (std::int32_t i = 0; i < data.n_sources(); ++i) {
                       paths.push_back(data.source(i).path().string());
                     }
                     return paths;
                   })
      .def("gene_names",
           [](const Dataset& data, const std::string& matrix, const std::string& join) {
             nb::gil_scoped_release unlocked;
             const JoinedGenes joined = data.genes(matrix);
             std::vector<std::string> names;
             for (const std::int32_t place :
                  kept_genes(joined, join == "outer" ? GeneJoin::outer : GeneJoin::inner)) {
               names.push_back(joined.names[static_cast<std::size_t>(place)]);
             }
             return names;
           })
      .def_prop_ro("obs_columns", &Dataset::obs_columns)
      .def("obs",
           [](const Dataset& data, const std::string& column) {
             nb::gil_scoped_release unlocked;
             return std::const_pointer_cast<ObsValues>(data.obs(column));
           })
      .def("obs_names",
           [](const Dataset& data, const nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig,
                                                     nb::device::cpu>& rows) {
             const auto wanted = span_of(rows);
             nb::gil_scoped_release unlocked;
             return data.obs_names(wanted).to_vector();
           })
      .def("fingerprint",
           [](const Dataset& data, const std::string& matrix) {
             nb::gil_scoped_release unlocked;
             return data.fingerprint(matrix);
           })
      .def("select", [](const Dataset& data, const std::string& condition) {
        std::vector<std::int64_t> rows;
        {
          nb::gil_scoped_release unlocked;
          rows = data.select(condition);
        }
        return array_of(std::move(rows));
      });
}

}  // namespace cellmill::python
