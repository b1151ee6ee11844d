#include "train/source_matrix.hpp"

#include <fmt/format.h>

#include "cellmill/core/error.hpp"
#include "cellmill/core/text.hpp"

namespace cellmill {
namespace {

void expect_length(const MatrixSource& matrix, std::int64_t found, std::int64_t expected,
                   const char* what, const char* frame) {
  if (found == expected) return;
  throw input_error(fmt::format("{}: {} {} found, expected {}, the length of {}", matrix.location(),
                                grouped(found), what, grouped(expected), frame));
}

}  // namespace

SourceMatrix::SourceMatrix(const AnnData& data, const std::string& name) {
  if (name == "X") {
    matrix_ = &data.x();
    return;
  }
  opened_ = open_matrix(data.root(), name);
  matrix_ = opened_.get();
  expect_length(*matrix_, matrix_->n_rows(), data.n_obs(), "rows", "obs");
  const bool raw = name.starts_with("raw/");
  const std::int64_t columns =
      raw ? DataFrame(data.root().group("raw/var")).n_rows() : data.n_vars();
  expect_length(*matrix_, matrix_->n_cols(), columns, "columns", raw ? "raw/var" : "var");
}

}  // namespace cellmill
