#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cellmill/anndata/dataframe.hpp"
#include "cellmill/anndata/matrix_source.hpp"
#include "cellmill/anndata/store.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

/// An AnnData on disk, opened for reading: h5ad or Zarr of any version, or 10x; nothing of the size
/// of the cells in memory.
class AnnData {
 public:
  /// \throws Error naming the path: not there, not AnnData, obs and X of different lengths …
  /// \param path whatever `open_anndata_store` opens
  static std::unique_ptr<AnnData> open(const std::filesystem::path& path,
                                       const AnnDataOpenOptions& options = {});

  [[nodiscard]] const std::string& name() const { return name_; }  ///< file name, for messages
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const Group& root() const { return *root_; }
  [[nodiscard]] const DataFrame& obs() const { return *obs_; }
  [[nodiscard]] const DataFrame& var() const { return *var_; }
  /// \throws Error(missing) if there is no X, Error(input) if its encoding can't be read
  [[nodiscard]] const MatrixSource& x() const;
  /// Whether there is an X that can be read.
  [[nodiscard]] bool has_x() const { return x_ != nullptr; }
  [[nodiscard]] std::int64_t n_obs() const { return obs_->n_rows(); }
  [[nodiscard]] std::int32_t n_vars() const { return static_cast<std::int32_t>(var_->n_rows()); }

 private:
  AnnData() = default;
  std::filesystem::path path_;
  std::string name_;
  std::unique_ptr<Group> root_;
  std::unique_ptr<DataFrame> obs_;
  std::unique_ptr<DataFrame> var_;
  std::unique_ptr<MatrixSource> x_;
  std::optional<Error> x_error_;  ///< why x_ is not there
};

}  // namespace cellmill
