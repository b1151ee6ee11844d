#include <system_error>

#include "cellmill/core/error.hpp"
#include "cellmill/storage/group.hpp"
#include "storage/zip_store.hpp"

namespace cellmill {

std::unique_ptr<Group> open_store(const std::filesystem::path& path) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) {
    throw not_found_error(path.string() + ": there is no such file or folder");
  }
  const bool zarr = std::filesystem::is_directory(status) || is_zip_file(path);
  return zarr ? open_zarr(path) : open_hdf5(path);
}

}  // namespace cellmill
