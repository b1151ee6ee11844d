#include "storage/zarr_group.hpp"

#include <fmt/format.h>

#include "cellmill/core/error.hpp"
#include "storage/element_path.hpp"
#include "storage/json_file.hpp"
#include "storage/structured_array.hpp"
#include "storage/zarr_array.hpp"
#include "storage/zarr_table.hpp"
#include "storage/zarr_writer.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* v3_document = "zarr.json";

/// Runs what reads a metadata document; what nlohmann finds missing or of another type is bad
/// input.
template <class Body>
auto reading(const std::string& location, const char* document, Body&& body) {
  return with_context(location + ": " + document, [&] {
    try {
      return body();
    } catch (const json::exception& error) {
      throw input_error(error.what());
    }
  });
}

}  // namespace

NodeKind zarr_node_kind(const ByteStore& store, const std::string& path, StoreFormat format) {
  if (format == StoreFormat::zarr2) {
    if (store.exists(join_key(path, ".zarray"))) return NodeKind::array;
    return store.exists(join_key(path, ".zgroup")) ? NodeKind::group : NodeKind::none;
  }
  const std::optional<json> document = read_json(store, join_key(path, v3_document));
  if (!document) return NodeKind::none;
  return reading(store.place(path), v3_document, [&] {
    const json& type = document->at("node_type");
    if (type == "array") return NodeKind::array;
    if (type == "group") return NodeKind::group;
    throw input_error("node_type " + type.dump() + ", expected group or array");
  });
}

std::optional<StoreFormat> zarr_format(const ByteStore& store) {
  if (store.exists(v3_document)) return StoreFormat::zarr3;
  if (store.exists(".zgroup") || store.exists(".zmetadata")) return StoreFormat::zarr2;
  return std::nullopt;
}

std::vector<std::string> zarr_children(const ByteStore& store, const std::string& path,
                                       StoreFormat format) {
  std::vector<std::string> names;
  for (std::string& name : store.folders(path)) {
    const std::string child = join_key(path, name);
    const bool node = format == StoreFormat::zarr3
                          ? store.exists(join_key(child, v3_document))
                          : store.exists(child + "/.zarray") || store.exists(child + "/.zgroup");
    if (node) names.push_back(std::move(name));
  }
  return names;
}

void write_zarr_group(const fs::path& folder, StoreFormat format) {
  if (format == StoreFormat::zarr2) {
    write_json_file(folder / ".zgroup", {{"zarr_format", 2}});
  } else {
    write_json_file(folder / v3_document,
                    {{"zarr_format", 3}, {"node_type", "group"}, {"attributes", json::object()}});
  }
}

ZarrGroup::ZarrGroup(std::shared_ptr<const ZarrStore> store, std::string path)
    : store_(std::move(store)),
      path_(std::move(path)),
      location_(path_.empty() ? store_->name : store_->name + ": " + path_) {}

std::string ZarrGroup::path_of(const std::string& name) const {
  check_element_name(location_, name);
  std::string path = join_key(path_, name);
  check_depth(store_->name, path);
  return path;
}

std::string ZarrGroup::location_of(const std::string& name) const {
  const std::string path = path_of(name);
  return path.empty() ? store_->name : store_->name + ": " + path;
}

fs::path ZarrGroup::folder_of(const std::string& name) const {
  const std::string path = path_of(name);
  return path.empty() ? store_->root : store_->root / path;
}

ZarrMetadata ZarrGroup::metadata_of(const std::string& name) const {
  expect_kind(name, NodeKind::array);
  const std::string location = location_of(name);
  const bool v2 = format() == StoreFormat::zarr2;
  const char* const document_name = v2 ? ".zarray" : v3_document;
  const std::optional<json> document =
      read_json(*store_->bytes, join_key(path_of(name), document_name));
  if (!document) throw missing_error(location + ": its " + document_name + " is gone");
  return reading(location, document_name,
                 [&] { return v2 ? parse_zarr2(*document) : parse_zarr3(*document); });
}

NodeKind ZarrGroup::kind(const std::string& name) const {
  return zarr_node_kind(*store_->bytes, path_of(name), format());
}

std::vector<std::string> ZarrGroup::keys() const {
  return zarr_children(*store_->bytes, path_, format());
}

void ZarrGroup::expect_kind(const std::string& name, NodeKind wanted) const {
  const NodeKind found = kind(name);
  if (found == wanted) return;
  if (found == NodeKind::none) {
    throw missing_error(fmt::format("{}: there is no '{}'", location_, name));
  }
  throw input_error(fmt::format(
      "{} is {}", location_of(name),
      wanted == NodeKind::array ? "a group, expected an array" : "an array, expected a group"));
}

std::unique_ptr<Group> ZarrGroup::open_child(const std::string& name) const {
  return std::make_unique<ZarrGroup>(store_, path_of(name));
}

std::unique_ptr<Group> ZarrGroup::group(const std::string& name) const {
  expect_kind(name, NodeKind::group);
  return open_child(name);
}

std::unique_ptr<Array> ZarrGroup::array(const std::string& name) const {
  ZarrMetadata metadata = metadata_of(name);
  const std::string location = location_of(name);
  if (!metadata.fields.empty()) {
    return std::make_unique<StructuredArray>(metadata.info(location));
  }
  return std::make_unique<ZarrArray>(store_->bytes, path_of(name), location, std::move(metadata));
}

std::unique_ptr<Array> ZarrGroup::field(const std::string& name, const std::string& field) const {
  const ZarrMetadata table = metadata_of(name);
  const std::string location = location_of(name);
  for (const ZarrField& candidate : table.fields) {
    if (candidate.name != field) continue;
    const std::string place = field_location(location, field);
    return std::make_unique<ZarrArray>(
        store_->bytes, path_of(name), place,
        with_context(place, [&] { return table.of_field(candidate); }));
  }
  no_such_field(location, field, field_names(table.fields));
}

json ZarrGroup::attributes(const std::string& name) const {
  const std::string path = path_of(name);
  if (kind(name) == NodeKind::none) {
    throw missing_error(fmt::format("{}: there is no '{}'", location_, name));
  }
  json attributes;
  if (format() == StoreFormat::zarr2) {
    attributes = read_json(*store_->bytes, join_key(path, ".zattrs")).value_or(json::object());
  } else {
    const json document =
        read_json(*store_->bytes, join_key(path, v3_document)).value_or(json::object());
    attributes = document.value("attributes", json::object());
  }
  if (!attributes.is_object()) {
    throw input_error(location_of(name) + ": its attributes are " + attributes.type_name() +
                      ", expected an object");
  }
  return attributes;
}

void ZarrGroup::expect_writable() const {
  if (store_->access == Access::read_only) {
    throw io_error(location_ + ": was opened for reading, not for writing");
  }
}

void ZarrGroup::expect_new(const std::string& name) const {
  expect_writable();
  if (name.empty() || kind(name) != NodeKind::none) {
    throw input_error(location_of(name) + " exists already");
  }
}

void ZarrGroup::make_groups_above(const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string above = name.substr(0, slash);
    if (kind(above) == NodeKind::none) write_zarr_group(folder_of(above), format());
    expect_kind(above, NodeKind::group);
  }
}

std::unique_ptr<Group> ZarrGroup::create_group(const std::string& name) {
  expect_new(name);
  make_groups_above(name);
  write_zarr_group(folder_of(name), format());
  return open_child(name);
}

std::unique_ptr<ArrayWriter> ZarrGroup::create_array(const std::string& name,
                                                     const ArraySpec& spec) {
  expect_new(name);
  const std::string location = location_of(name);
  ZarrMetadata metadata = with_context(location, [&] { return spec_metadata(spec, format()); });
  make_groups_above(name);
  const fs::path folder = folder_of(name);
  if (format() == StoreFormat::zarr2) {
    write_json_file(folder / ".zarray", zarr2_document(metadata));
  } else {
    write_json_file(folder / v3_document, zarr3_document(metadata));
  }
  return std::make_unique<ZarrWriter>(folder, location, std::move(metadata));
}

void ZarrGroup::create_table(const std::string& name, std::span<const TableColumn> columns) {
  expect_new(name);
  with_context(location_of(name), [&] {
    make_groups_above(name);
    write_zarr_table(folder_of(name), format(), columns);
  });
}

void ZarrGroup::create_null(const std::string& name) { write_scalar(*this, name, false); }

std::unique_ptr<ArrayWriter> ZarrGroup::open_writer(const std::string& name) {
  expect_writable();
  return std::make_unique<ZarrWriter>(folder_of(name), location_of(name), metadata_of(name));
}

void ZarrGroup::set_attributes(const std::string& name, const json& attributes) {
  expect_writable();
  const fs::path folder = folder_of(name);
  json merged = this->attributes(name);
  merged.update(attributes);
  if (format() == StoreFormat::zarr2) {
    write_json_file(folder / ".zattrs", merged);
    return;
  }
  json document = read_json_file(folder / v3_document).value_or(json::object());
  document["attributes"] = std::move(merged);
  write_json_file(folder / v3_document, document);
}

}  // namespace cellmill
