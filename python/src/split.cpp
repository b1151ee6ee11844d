#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "cellmill/train/row_sets.hpp"

namespace cellmill::python {
namespace {

using Codes = nb::ndarray<const std::int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// Positions of each set, in the order of the shares; by whole groups where there are codes.
nb::list split(std::int64_t n_rows, const std::optional<Codes>& groups,
               const std::vector<std::pair<std::string, double>>& fractions, std::uint64_t seed) {
  std::vector<Share> shares;
  for (const auto& [name, fraction] : fractions) shares.push_back({name, fraction});
  std::vector<RowSet> sets;
  {
    const nb::gil_scoped_release unlocked;
    sets = groups ? split_groups({groups->data(), groups->shape(0)}, shares, seed)
                  : split_rows(n_rows, shares, seed);
  }
  nb::list found;
  for (RowSet& set : sets) found.append(array_of(std::move(set.rows)));
  return found;
}

}  // namespace

void bind_split(nb::module_& module) {
  module.def("split", &split, nb::arg("n_rows"), nb::arg("groups").none(), nb::arg("fractions"),
             nb::arg("seed"));
}

}  // namespace cellmill::python
