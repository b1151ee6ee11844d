#include "storage/zarr_group.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>
#include <system_error>

#include "cellmill/core/error.hpp"
#include "storage/json_file.hpp"
#include "storage/structured_array.hpp"
#include "storage/zarr_array.hpp"
#include "storage/zarr_writer.hpp"

namespace cellmill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* v3_document = "zarr.json";

/// `name` is a path of plain names: nothing that would lead out of the store.
void check_name(const std::string& location, const std::string& name) {
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty() || part == "." || part == "..") {
      throw input_error(fmt::format("{}: '{}' is not a name of an element", location, name));
    }
  }
}

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

ZarrMetadata read_array_metadata(const fs::path& folder, const std::string& location,
                                 StoreFormat format) {
  const char* const name = format == StoreFormat::zarr2 ? ".zarray" : v3_document;
  const std::optional<json> document = read_json_file(folder / name);
  if (!document) throw missing_error(location + ": its " + name + " is gone");
  return reading(location, name, [&] {
    return format == StoreFormat::zarr2 ? parse_zarr2(*document) : parse_zarr3(*document);
  });
}

}  // namespace

NodeKind zarr_node_kind(const fs::path& folder, StoreFormat format) {
  std::error_code ignored;  // what can't be looked at is not there
  if (format == StoreFormat::zarr2) {
    if (fs::exists(folder / ".zarray", ignored)) return NodeKind::array;
    return fs::exists(folder / ".zgroup", ignored) ? NodeKind::group : NodeKind::none;
  }
  const std::optional<json> document = read_json_file(folder / v3_document);
  if (!document) return NodeKind::none;
  return reading(folder.string(), v3_document, [&] {
    const json& type = document->at("node_type");
    if (type == "array") return NodeKind::array;
    if (type == "group") return NodeKind::group;
    throw input_error("node_type " + type.dump() + ", expected group or array");
  });
}

std::optional<StoreFormat> zarr_format(const fs::path& folder) {
  std::error_code ignored;
  if (fs::exists(folder / v3_document, ignored)) return StoreFormat::zarr3;
  if (fs::exists(folder / ".zgroup", ignored)) return StoreFormat::zarr2;
  return std::nullopt;
}

std::vector<std::string> zarr_children(const fs::path& folder, StoreFormat format) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::error_code ignored;
    if (!entry->is_directory(ignored)) continue;
    const bool node = format == StoreFormat::zarr3
                          ? fs::exists(entry->path() / v3_document, ignored)
                          : fs::exists(entry->path() / ".zarray", ignored) ||
                                fs::exists(entry->path() / ".zgroup", ignored);
    if (node) names.push_back(entry->path().filename().string());
  }
  if (error) throw io_error(folder.string() + ": can't list: " + error.message());
  std::sort(names.begin(), names.end());
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

ZarrGroup::ZarrGroup(fs::path root, std::string store_name, std::string path, StoreFormat format,
                     Access access)
    : root_(std::move(root)),
      store_name_(std::move(store_name)),
      path_(std::move(path)),
      location_(path_.empty() ? store_name_ : store_name_ + ": " + path_),
      format_(format),
      access_(access) {}

std::string ZarrGroup::path_of(const std::string& name) const {
  if (name.empty()) return path_;
  check_name(location_, name);
  return path_.empty() ? name : path_ + "/" + name;
}

std::string ZarrGroup::location_of(const std::string& name) const {
  const std::string path = path_of(name);
  return path.empty() ? store_name_ : store_name_ + ": " + path;
}

fs::path ZarrGroup::folder_of(const std::string& name) const {
  const std::string path = path_of(name);
  return path.empty() ? root_ : root_ / path;
}

NodeKind ZarrGroup::kind(const std::string& name) const {
  return zarr_node_kind(folder_of(name), format_);
}

std::vector<std::string> ZarrGroup::keys() const { return zarr_children(folder_of(""), format_); }

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
  return std::make_unique<ZarrGroup>(root_, store_name_, path_of(name), format_, access_);
}

std::unique_ptr<Group> ZarrGroup::group(const std::string& name) const {
  expect_kind(name, NodeKind::group);
  return open_child(name);
}

std::unique_ptr<Array> ZarrGroup::array(const std::string& name) const {
  expect_kind(name, NodeKind::array);
  const std::string location = location_of(name);
  const fs::path folder = folder_of(name);
  ZarrMetadata metadata = read_array_metadata(folder, location, format_);
  if (!metadata.fields.empty()) {
    return std::make_unique<StructuredArray>(metadata.info(location));
  }
  return std::make_unique<ZarrArray>(folder, location, std::move(metadata));
}

std::unique_ptr<Array> ZarrGroup::field(const std::string& name, const std::string& field) const {
  expect_kind(name, NodeKind::array);
  const std::string location = location_of(name);
  const fs::path folder = folder_of(name);
  const ZarrMetadata table = read_array_metadata(folder, location, format_);
  for (const ZarrField& candidate : table.fields) {
    if (candidate.name != field) continue;
    const std::string place = field_location(location, field);
    return std::make_unique<ZarrArray>(
        folder, place, with_context(place, [&] { return table.of_field(candidate); }));
  }
  no_such_field(location, field, field_names(table.fields));
}

json ZarrGroup::attributes(const std::string& name) const {
  const fs::path folder = folder_of(name);
  if (zarr_node_kind(folder, format_) == NodeKind::none) {
    throw missing_error(fmt::format("{}: there is no '{}'", location_, name));
  }
  json attributes;
  if (format_ == StoreFormat::zarr2) {
    attributes = read_json_file(folder / ".zattrs").value_or(json::object());
  } else {
    const json document = read_json_file(folder / v3_document).value_or(json::object());
    attributes = document.value("attributes", json::object());
  }
  if (!attributes.is_object()) {
    throw input_error(location_of(name) + ": its attributes are " + attributes.type_name() +
                      ", expected an object");
  }
  return attributes;
}

void ZarrGroup::expect_new(const std::string& name) const {
  if (access_ == Access::read_only) {
    throw io_error(location_ + ": was opened for reading, not for writing");
  }
  if (name.empty() || kind(name) != NodeKind::none) {
    throw input_error(location_of(name) + " exists already");
  }
}

void ZarrGroup::make_groups_above(const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != name.npos; slash = name.find('/', slash + 1)) {
    const std::string above = name.substr(0, slash);
    if (kind(above) == NodeKind::none) write_zarr_group(folder_of(above), format_);
    expect_kind(above, NodeKind::group);
  }
}

std::unique_ptr<Group> ZarrGroup::create_group(const std::string& name) {
  expect_new(name);
  make_groups_above(name);
  write_zarr_group(folder_of(name), format_);
  return open_child(name);
}

std::unique_ptr<ArrayWriter> ZarrGroup::create_array(const std::string& name,
                                                     const ArraySpec& spec) {
  expect_new(name);
  const std::string location = location_of(name);
  ZarrMetadata metadata = with_context(location, [&] { return spec_metadata(spec, format_); });
  make_groups_above(name);
  const fs::path folder = folder_of(name);
  if (format_ == StoreFormat::zarr2) {
    write_json_file(folder / ".zarray", zarr2_document(metadata));
  } else {
    write_json_file(folder / v3_document, zarr3_document(metadata));
  }
  return std::make_unique<ZarrWriter>(folder, location, std::move(metadata));
}

std::unique_ptr<ArrayWriter> ZarrGroup::open_writer(const std::string& name) {
  if (access_ == Access::read_only) {
    throw io_error(location_ + ": was opened for reading, not for writing");
  }
  expect_kind(name, NodeKind::array);
  const std::string location = location_of(name);
  const fs::path folder = folder_of(name);
  return std::make_unique<ZarrWriter>(folder, location,
                                      read_array_metadata(folder, location, format_));
}

void ZarrGroup::set_attributes(const std::string& name, const json& attributes) {
  if (access_ == Access::read_only) {
    throw io_error(location_ + ": was opened for reading, not for writing");
  }
  const fs::path folder = folder_of(name);
  json merged = this->attributes(name);
  merged.update(attributes);
  if (format_ == StoreFormat::zarr2) {
    write_json_file(folder / ".zattrs", merged);
    return;
  }
  json document = read_json_file(folder / v3_document).value_or(json::object());
  document["attributes"] = std::move(merged);
  write_json_file(folder / v3_document, document);
}

}  // namespace cellmill
