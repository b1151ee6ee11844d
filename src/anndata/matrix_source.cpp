#include "cellmill/anndata/matrix_source.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "anndata/csc_matrix.hpp"
#include "anndata/csr_matrix.hpp"
#include "anndata/dense_matrix.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

void MatrixSource::visit_rows(const FetchedRows& fetched,
                              const std::function<void(const StoredRow&)>& visit) const {
  thread_local CsrChunk chunk;
  decode(fetched, chunk);
  for (std::int64_t row = 0; row < chunk.n_rows(); ++row) {
    const std::int64_t begin = chunk.indptr[static_cast<std::size_t>(row)];
    StoredRow stored;
    stored.row = fetched.rows.begin + row;
    stored.nnz = chunk.indptr[static_cast<std::size_t>(row) + 1] - begin;
    stored.indices = reinterpret_cast<const std::byte*>(chunk.indices.data() + begin);
    stored.values = reinterpret_cast<const std::byte*>(chunk.values.data() + begin);
    visit(stored);
  }
}

void MatrixSource::decode_rows(std::span<const PackedRow> /*rows*/,
                               std::span<std::int32_t> /*indices*/, std::span<float> /*values*/,
                               Landing /*landing*/) const {
  throw std::logic_error(location() + ": its rows are not packed one by one");
}

void MatrixSource::decode_stored(const FetchedRows& fetched, CsrRows<double>& out) const {
  if (!fits_float32(dtype())) {
    throw input_error(
        fmt::format("{}: values of type {} can't be copied from a matrix of this kind", location(),
                    dtype_name(dtype())));
  }
  CsrChunk chunk;
  decode(fetched, chunk);
  out.first_row = chunk.first_row;
  out.n_cols = chunk.n_cols;
  out.indptr = std::move(chunk.indptr);
  out.indices = std::move(chunk.indices);
  out.values.assign(chunk.values.begin(), chunk.values.end());
}

RawVector<std::int32_t> MatrixSource::columns(Range rows) const {
  CsrChunk chunk;
  decode(fetch(rows), chunk);
  return std::move(chunk.indices);
}

std::unique_ptr<MatrixSource> open_matrix(const Group& parent, const std::string& name) {
  if (parent.kind(name) == NodeKind::array) return open_dense_matrix(parent.array(name));
  const std::unique_ptr<Group> group = parent.group(name);  // says so if there is none
  const std::string encoding = group->attributes().value("encoding-type", "");
  if (encoding == "csr_matrix") return open_csr_matrix(*group);
  if (encoding == "csc_matrix") return open_csc_matrix(*group);
  throw input_error(fmt::format("{}: encoding-type '{}' found, expected csr_matrix or csc_matrix",
                                group->location(), encoding));
}

}  // namespace cellmill
