#pragma once

#include <memory>
#include <string>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/matrix_source.hpp"

namespace cellmill {

/// A matrix of an AnnData: its X, or another one that was opened for the purpose.
class SourceMatrix {
 public:
  /// \param name "X", "layers/NAME" or "raw/X"
  /// \throws Error naming the file that lacks it, Error(input) if it does not fit obs and var
  SourceMatrix(const AnnData& data, const std::string& name);

  [[nodiscard]] const MatrixSource& operator*() const { return *matrix_; }
  [[nodiscard]] const MatrixSource* operator->() const { return matrix_; }

 private:
  std::unique_ptr<MatrixSource> opened_;
  const MatrixSource* matrix_;
};

}  // namespace cellmill
