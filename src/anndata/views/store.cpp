#include "cellmill/anndata/store.hpp"

#include "anndata/views/old_anndata.hpp"

namespace cellmill {

std::unique_ptr<Group> open_anndata_store(const std::filesystem::path& path,
                                          const AnnDataOpenOptions& /*options*/) {
  std::unique_ptr<Group> root = open_store(path);
  if (!is_old_anndata(*root)) return root;
  const std::shared_ptr<const Group> store = std::move(root);
  return open_view(store->location(), store->format(), old_anndata(store));
}

}  // namespace cellmill
