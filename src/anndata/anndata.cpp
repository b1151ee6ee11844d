#include "cellmill/anndata/anndata.hpp"

#include <fmt/format.h>

#include <limits>

#include "cellmill/core/text.hpp"

namespace cellmill {

namespace {

std::unique_ptr<DataFrame> open_frame(const Group& root, const std::string& name) {
  if (root.kind(name) == NodeKind::none) {
    throw input_error(fmt::format("{}: not an AnnData: there is no {}", root.location(), name));
  }
  if (root.kind(name) == NodeKind::array) {
    throw input_error(fmt::format("{}: {} is an array without named fields, expected a dataframe",
                                  root.location(), name));
  }
  return std::make_unique<DataFrame>(root.group(name));
}

void expect_size(const std::string& location, std::int64_t found, std::int64_t expected,
                 const char* what, const char* frame) {
  if (found == expected) return;
  throw input_error(fmt::format("{}: {} {} found, expected {}, the length of {}", location,
                                grouped(found), what, grouped(expected), frame));
}

}  // namespace

std::unique_ptr<AnnData> AnnData::open(const std::filesystem::path& path,
                                       const AnnDataOpenOptions& options) {
  std::unique_ptr<AnnData> data(new AnnData());  // NOLINT: the constructor is private
  data->path_ = path;
  data->name_ = (path.has_filename() ? path : path.parent_path()).filename().string();
  data->root_ = open_anndata_store(path, options);
  data->obs_ = open_frame(*data->root_, "obs");
  data->var_ = open_frame(*data->root_, "var");
  if (data->var_->n_rows() > std::numeric_limits<std::int32_t>::max()) {
    throw input_error(fmt::format("{}: {} genes found, expected at most 2^31 − 1",
                                  data->var_->location(), grouped(data->var_->n_rows())));
  }
  if (data->root_->kind("X") == NodeKind::none) {
    data->x_error_ = missing_error(data->name_ + ": there is no X");
    return data;
  }
  try {
    data->x_ = open_matrix(*data->root_, "X");
  } catch (const Error& error) {
    // obs and var may be all that is wanted.
    data->x_error_ = error;
    return data;
  }
  const MatrixSource& x = *data->x_;
  expect_size(x.location(), x.n_rows(), data->n_obs(), "rows", "obs");
  expect_size(x.location(), x.n_cols(), data->n_vars(), "columns", "var");
  return data;
}

const MatrixSource& AnnData::x() const {
  if (x_ == nullptr) throw Error(*x_error_);
  return *x_;
}

}  // namespace cellmill
