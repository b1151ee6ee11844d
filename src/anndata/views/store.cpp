#include "cellmill/anndata/store.hpp"

#include <fmt/format.h>

#include "anndata/views/old_anndata.hpp"
#include "anndata/views/tenx.hpp"
#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

void refuse_genome(const std::string& location, const std::string& genome) {
  if (genome.empty()) return;
  throw input_error(
      fmt::format("{}: genome '{}' asked for, but this is no 10x .h5 file", location, genome));
}

}  // namespace

std::unique_ptr<Group> open_anndata_store(const std::filesystem::path& path,
                                          const AnnDataOpenOptions& options) {
  const auto [file, named] = split_genome(path);
  const std::string& genome = options.genome.empty() ? named : options.genome;
  if (is_tenx_mtx(file)) {
    const std::string name = (file.has_filename() ? file : file.parent_path()).filename().string();
    refuse_genome(name, genome);
    return open_view(name, StoreFormat::mtx, tenx_mtx(file));
  }
  std::unique_ptr<Group> root = open_store(file);
  const bool tenx = is_tenx_h5(*root);
  if (!tenx) refuse_genome(root->location(), genome);
  if (!tenx && !is_old_anndata(*root)) return root;
  const std::shared_ptr<const Group> store = std::move(root);
  return open_view(store->location(), store->format(),
                   tenx ? tenx_h5(store, genome) : old_anndata(store));
}

}  // namespace cellmill
