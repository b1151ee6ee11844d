#include <fmt/format.h>

#include <functional>
#include <system_error>

#include "cellmill/core/error.hpp"
#include "storage/json_file.hpp"
#include "storage/zarr_consolidated.hpp"
#include "storage/zarr_group.hpp"
#include "storage/zip_store.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The store's last name, also of `folder/`.
std::string store_name(const fs::path& path) {
  const fs::path plain = path.has_filename() ? path : path.parent_path();
  return plain.filename().string();
}

/// Visits every node below `path`, groups before what they hold.
void visit(const ByteStore& store, const std::string& path, StoreFormat format,
           const std::function<void(const std::string&, NodeKind)>& visitor) {
  for (const std::string& name : zarr_children(store, path, format)) {
    const std::string child = join_key(path, name);
    const NodeKind kind = zarr_node_kind(store, child, format);
    visitor(child, kind);
    if (kind == NodeKind::group) visit(store, child, format, visitor);
  }
}

void consolidate_v2(const fs::path& root) {
  json metadata = json::object();
  const auto take = [&](const std::string& path, const char* document) {
    const std::string key = path.empty() ? document : path + "/" + document;
    if (auto found = read_json_file(root / key)) metadata[key] = std::move(*found);
  };
  take("", ".zgroup");
  take("", ".zattrs");
  visit(LocalStore(root), "", StoreFormat::zarr2, [&](const std::string& path, NodeKind kind) {
    take(path, kind == NodeKind::array ? ".zarray" : ".zgroup");
    take(path, ".zattrs");
  });
  write_json_file(root / ".zmetadata",
                  {{"zarr_consolidated_format", 1}, {"metadata", std::move(metadata)}});
}

void consolidate_v3(const fs::path& root) {
  const auto inline_metadata = [](json metadata) -> json {
    return {{"kind", "inline"}, {"must_understand", false}, {"metadata", std::move(metadata)}};
  };
  json metadata = json::object();
  visit(LocalStore(root), "", StoreFormat::zarr3, [&](const std::string& path, NodeKind kind) {
    json document = read_json_file(root / path / "zarr.json").value_or(json::object());
    // zarr-python marks the groups below the root so: their children stand in the root's list.
    if (kind == NodeKind::group)
      document["consolidated_metadata"] = inline_metadata(json::object());
    metadata[path] = std::move(document);
  });
  json document = read_json_file(root / "zarr.json").value_or(json::object());
  document["consolidated_metadata"] = inline_metadata(std::move(metadata));
  write_json_file(root / "zarr.json", document);
}

}  // namespace

std::unique_ptr<Group> open_zarr(const fs::path& path, OpenMode mode, StoreFormat format) {
  const std::string name = store_name(path);
  std::error_code ignored;
  const bool exists = fs::exists(path, ignored);
  if (mode == OpenMode::create) {
    if (format == StoreFormat::hdf5)
      throw usage_error("a Zarr store has Zarr's format, not HDF5's");
    if (exists) throw input_error(path.string() + " exists already");
    write_zarr_group(path, format);
    return std::make_unique<ZarrGroup>(
        std::make_shared<ZarrStore>(
            ZarrStore{std::make_shared<LocalStore>(path), path, name, format, Access::read_write}),
        "");
  }
  if (!exists) throw not_found_error(path.string() + ": there is no such file or folder");
  auto store = std::make_shared<ZarrStore>();
  store->name = name;
  store->root = path;
  if (fs::is_directory(path, ignored)) {
    store->bytes = std::make_shared<LocalStore>(path);
  } else if (mode != OpenMode::read) {
    throw input_error(path.string() + ": is no folder; zip archives are only read");
  } else {
    store->bytes = std::make_shared<ZipStore>(path);
  }
  const std::optional<StoreFormat> found = zarr_format(*store->bytes);
  if (found && mode == OpenMode::read)
    store->bytes = with_consolidated(store->bytes, *found, store->name);
  if (!found || zarr_node_kind(*store->bytes, "", *found) != NodeKind::group) {
    throw input_error(path.string() +
                      ": is not a Zarr group; expected a folder, or a zip archive, with zarr.json "
                      "or .zgroup in its root");
  }
  store->format = *found;
  store->access = mode == OpenMode::read ? Access::read_only : Access::read_write;
  return std::make_unique<ZarrGroup>(std::move(store), "");
}

void consolidate_zarr(const fs::path& path) {
  const std::optional<StoreFormat> format = zarr_format(LocalStore(path));
  if (!format) throw input_error(path.string() + ": is not a Zarr group");
  if (*format == StoreFormat::zarr2) {
    consolidate_v2(path);
  } else {
    consolidate_v3(path);
  }
}

}  // namespace cellmill
