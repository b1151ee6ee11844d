#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <nlohmann/json.hpp>

#include "bindings.hpp"
#include "cellmill/anndata/info.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"
#include "cellmill/core/memory.hpp"
#include "cellmill/core/parallel.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/core/version.hpp"
#include "cellmill/train/shard.hpp"

namespace cellmill::python {
namespace {

const char* kind_name(Error::Kind kind) {
  switch (kind) {
    case Error::Kind::input:
      return "input";
    case Error::Kind::not_found:
      return "not_found";
    case Error::Kind::missing:
      return "missing";
    case Error::Kind::io:
      return "io";
    case Error::Kind::usage:
      return "usage";
    case Error::Kind::comm:
      return "comm";
    case Error::Kind::stopped:
    case Error::Kind::resumable:
      return "stopped";
  }
  return "input";
}

/// The exception of cellmill.errors that belongs to an error.
void translate(const std::exception_ptr& thrown, void* /*unused*/) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    const nb::object type =
        nb::module_::import_("cellmill.errors").attr("error_types")[kind_name(error.kind())];
    PyErr_SetString(type.ptr(), error.what());
  }
}

}  // namespace

void check_signals() {
  const nb::gil_scoped_acquire lock;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

}  // namespace cellmill::python

NB_MODULE(_core, module) {  // NOLINT: the macro's own
  namespace nb = nanobind;
  using namespace cellmill;
  nb::set_leak_warnings(false);  // objects alive at exit are the interpreter's business
  nb::register_exception_translator(python::translate);
  configure_log(LogLevel::warning, 0);
  module.def("version", [] { return std::string(version()); });
  module.def("parse_bytes", [](const std::string& text) { return parse_bytes(text); });
  module.def("default_threads", &default_threads, nb::arg("local_ranks"));
  module.def("available_memory", &available_memory);
  module.def("read_gene_list", &read_gene_list);
  module.def("info_json", [](const std::filesystem::path& path) {
    nb::gil_scoped_release unlocked;
    return describe_anndata(path).dump();
  });
  python::bind_codec(module);
  python::bind_dataset(module);
  python::bind_tokens(module);
  python::bind_loader(module);
  python::bind_orders(module);
  python::bind_position(module);
  python::bind_split(module);
}
