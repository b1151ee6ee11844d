#include "cellmill/anndata/matrix_source.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "anndata/csr_matrix.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

std::unique_ptr<MatrixSource> open_matrix(const Group& parent, const std::string& name) {
  const NodeKind kind = parent.kind(name);
  if (kind == NodeKind::array) {
    const std::unique_ptr<Array> array = parent.array(name);
    throw input_error(array->info().location +
                      ": dense arrays are not supported yet; expected a csr_matrix");
  }
  const std::unique_ptr<Group> group = parent.group(name);  // says so if there is none
  const std::string encoding = group->attributes().value("encoding-type", "");
  if (encoding == "csr_matrix") return open_csr_matrix(*group);
  if (encoding == "csc_matrix") {
    throw input_error(group->location() +
                      ": csc_matrix is not supported yet; expected a csr_matrix (in Python: "
                      "adata.X = adata.X.tocsr())");
  }
  throw input_error(fmt::format("{}: encoding-type '{}' found, expected csr_matrix",
                                group->location(), encoding));
}

}  // namespace cellmill
