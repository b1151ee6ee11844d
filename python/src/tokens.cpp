#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include "bindings.hpp"
#include "cellmill/train/tokenizer.hpp"
#include "cellmill/train/vocabulary.hpp"

namespace cellmill::python {

void bind_tokens(nb::module_& module) {
  nb::class_<Vocabulary>(module, "Vocabulary")
      .def("__init__",
           [](Vocabulary* self, std::vector<std::string> names, std::vector<std::int32_t> ids,
              std::vector<double> medians) {
             Vocabulary made{std::move(names), std::move(ids), std::move(medians)};
             check(made);
             new (self) Vocabulary(std::move(made));
           })
      .def("__len__", [](const Vocabulary& self) { return self.names.size(); })
      .def_ro("names", &Vocabulary::names)
      .def_ro("ids", &Vocabulary::ids)
      .def_ro("medians", &Vocabulary::medians);
  module.def("read_vocabulary", [](const std::filesystem::path& path) {
    nb::gil_scoped_release unlocked;
    return std::make_shared<Vocabulary>(read_vocabulary(path));
  });

  nb::class_<GeneformerOptions>(module, "GeneformerOptions")
      .def(
          "__init__",
          [](GeneformerOptions* self, std::shared_ptr<Vocabulary> vocabulary, int version,
             std::optional<std::int64_t> max_length, std::optional<double> percentile) {
            new (self) GeneformerOptions{std::move(vocabulary), version, max_length, percentile};
          },
          nb::arg("vocabulary"), nb::arg("version"), nb::arg("max_length").none(),
          nb::arg("percentile").none());
  nb::class_<ScGptOptions>(module, "ScGptOptions")
      .def(
          "__init__",
          [](ScGptOptions* self, std::shared_ptr<Vocabulary> vocabulary, std::optional<int> bins,
             std::int64_t max_length, double masking, float mask_value, float pad_value) {
            new (self) ScGptOptions{
                std::move(vocabulary), bins, max_length, masking, mask_value, pad_value};
          },
          nb::arg("vocabulary"), nb::arg("bins").none(), nb::arg("max_length"), nb::arg("masking"),
          nb::arg("mask_value"), nb::arg("pad_value"));
  nb::class_<RankValueOptions>(module, "RankValueOptions")
      .def(
          "__init__",
          [](RankValueOptions* self, std::shared_ptr<Vocabulary> vocabulary,
             std::int64_t max_length) {
            new (self) RankValueOptions{std::move(vocabulary), max_length};
          },
          nb::arg("vocabulary").none(), nb::arg("max_length"));
  module.def("special_tokens", [](const TokenizerOptions& options, std::int32_t n_genes) {
    nb::list found;
    for (const SpecialToken& token : special_tokens(options, n_genes)) {
      found.append(nb::make_tuple(token.name, token.id, token.appended));
    }
    return found;
  });
}

}  // namespace cellmill::python
