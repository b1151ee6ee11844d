#include "anndata/views/tenx_genome.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>
#include <utility>

#include "anndata/views/mtx_to_csr.hpp"
#include "cellmill/anndata/csr_rows.hpp"
#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"
#include "cellmill/storage/scratch_array.hpp"

namespace cellmill {

namespace {

constexpr std::int64_t names_at_once = 65'536;
constexpr std::int64_t rows_at_once = 256;

Node scratch_node(nlohmann::json attributes, std::shared_ptr<const ScratchBlocks> blocks) {
  return array_node(std::move(attributes),
                    [blocks = std::move(blocks)] { return open_scratch_array(blocks); });
}

/// The genome of each feature.
Strings genomes_of(const Element& matrix) {
  const std::unique_ptr<Array> array = matrix.child("features/genome").array();
  const std::unique_ptr<Array> names = matrix.child("features/name").array();
  const std::int64_t count = element_count(array->info());
  const std::int64_t features = element_count(names->info());
  if (count != features) {
    throw input_error(fmt::format("{}: {} elements found, expected {}, one a feature",
                                  array->info().location, grouped(count), grouped(features)));
  }
  return array->read_strings({0, count});
}

}  // namespace

TenxGenome::TenxGenome(const Element& matrix, const std::string& genome)
    : location_(matrix.root->location()) {
  const Strings genomes = genomes_of(matrix);
  std::set<std::string> found;
  for (std::int64_t row = 0; row < genomes.size(); ++row) {
    found.emplace(genomes[row]);
    const bool keep = genomes[row] == genome;
    slot_.push_back(keep ? static_cast<std::int32_t>(kept_.size()) : -1);
    if (keep) kept_.push_back(row);
  }
  if (kept_.empty()) {
    found.erase("");
    throw input_error(fmt::format("{}: genome '{}' asked for, the features are of: {}", location_,
                                  genome, fmt::join(found, ", ")));
  }
  is_only_ = kept_.size() == slot_.size();
}

Node TenxGenome::chosen(const Element& column, nlohmann::json attributes) const {
  const std::unique_ptr<Array> array = column.array();
  const ArrayInfo& info = array->info();
  const auto features = static_cast<std::int64_t>(slot_.size());
  if (info.shape != std::vector{features}) {
    throw input_error(fmt::format("{}: {} elements found, expected {}, one a feature",
                                  info.location, grouped(element_count(info)), grouped(features)));
  }
  if (!scratch_) scratch_ = scratch_for(location_, {}, 0);
  if (info.dtype == DType::string) {
    ScratchStringsWriter writer(scratch_, info.location);
    for (std::int64_t first = 0; first < features; first += names_at_once) {
      const Range rows{first, std::min(first + names_at_once, features)};
      const Strings names = array->read_strings(rows);
      for (std::int64_t row = rows.begin; row < rows.end; ++row) {
        if (slot_[static_cast<std::size_t>(row)] >= 0) writer.append(names[row - first]);
      }
    }
    return scratch_node(std::move(attributes), writer.finish());
  }
  const RawVector<std::byte> bytes = read_row_bytes(*array, {0, features});
  ScratchElementsWriter writer(scratch_, info.location, info.dtype);
  for (const std::int64_t row : kept_) {
    writer.append(bytes.data() + static_cast<std::size_t>(row) * dtype_size(info.dtype));
  }
  return scratch_node(std::move(attributes), writer.finish());
}

Node TenxGenome::chosen_counts(const Node& counts) const {
  const auto view = open_view(location_, StoreFormat::hdf5,
                              group_node(nlohmann::json::object(), {{"matrix", counts}}));
  const std::unique_ptr<MatrixSource> x = open_matrix(*view, "matrix");
  if (x->n_cols() != static_cast<std::int64_t>(slot_.size())) {
    throw input_error(fmt::format("{}: {} columns found, expected {}, one a feature", x->location(),
                                  x->n_cols(), slot_.size()));
  }
  const auto width = static_cast<std::int64_t>(dtype_size(x->dtype()) + sizeof(std::int32_t));
  const auto scratch = scratch_for(location_, {}, x->nnz() * width);
  ScratchArrayWriter<std::int64_t> indptr(scratch, x->location() + "/indptr");
  ScratchArrayWriter<std::int32_t> indices(scratch, x->location() + "/indices");
  ScratchElementsWriter data(scratch, x->location() + "/data", x->dtype());
  std::int64_t nnz = 0;
  indptr.append(nnz);
  FetchedRows fetched;
  const auto copy_row = [&](const StoredRow& stored) {
    const std::vector<std::int32_t> columns = stored_columns(stored, x->n_cols());
    for (std::size_t k = 0; k < columns.size(); ++k) {
      const std::int32_t slot = slot_[static_cast<std::size_t>(columns[k])];
      if (slot < 0) continue;
      indices.append(slot);
      data.append(stored.values + k * dtype_size(stored.value_dtype));
      ++nnz;
    }
    indptr.append(nnz);
  };
  for (std::int64_t first = 0; first < x->n_rows(); first += rows_at_once) {
    x->fetch({first, std::min(first + rows_at_once, x->n_rows())}, fetched);
    with_context(x->location(), [&] { x->visit_rows(fetched, copy_row); });
  }
  nlohmann::json attributes = encoding("csr_matrix", "0.1.0");
  attributes["shape"] = {x->n_rows(), kept_.size()};
  const auto plain = nlohmann::json::object();
  return group_node(std::move(attributes), {{"data", scratch_node(plain, data.finish())},
                                            {"indices", scratch_node(plain, indices.finish())},
                                            {"indptr", scratch_node(plain, indptr.finish())}});
}

}  // namespace cellmill
