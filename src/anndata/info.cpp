#include "cellmill/anndata/info.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <vector>

#include "cellmill/anndata/anndata.hpp"
#include "cellmill/anndata/paths.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

// obs names beyond this many cells aren't checked for repeats: it would read gigabytes of strings.
constexpr std::int64_t max_checked_names = 2'000'000;
constexpr std::int64_t names_at_once = 65'536;
constexpr std::size_t shown_names = 5;
// A Python string in an object array: a pointer, the object's head and some characters.
constexpr std::int64_t loaded_string_bytes = 72;

// What is said for a type that has fields.
constexpr const char* table_dtype = "table";

const char* column_kind_name(ColumnKind kind) {
  switch (kind) {
    case ColumnKind::numeric:
      return "numeric";
    case ColumnKind::boolean:
      return "boolean";
    case ColumnKind::string:
      return "string";
    case ColumnKind::categorical:
      return "categorical";
    case ColumnKind::nullable_integer:
      return "nullable-integer";
    case ColumnKind::nullable_boolean:
      return "nullable-boolean";
    case ColumnKind::nullable_string:
      return "nullable-string";
    case ColumnKind::unsupported:
      return "unsupported";
  }
  return "unknown";
}

const char* format_name(StoreFormat format) {
  switch (format) {
    case StoreFormat::hdf5:
      return "hdf5";
    case StoreFormat::zarr2:
      return "zarr2";
    case StoreFormat::zarr3:
      return "zarr3";
    case StoreFormat::mtx:
      return "mtx";
  }
  return "unknown";
}

Json describe_array(const ArrayInfo& info) {
  return {{"dtype", info.fields.empty() ? dtype_name(info.dtype) : std::string(table_dtype)},
          {"shape", info.shape},
          {"chunks", info.chunk_shape},
          {"codecs", info.codecs}};
}

std::string encoding_of(const nlohmann::json& attributes) {
  const auto found = attributes.find("encoding-type");
  return found != attributes.end() && found->is_string() ? found->get<std::string>() : "";
}

Json describe_node(const Group& parent, const std::string& name) {
  Json node = {{"name", name}};
  try {
    const bool array = parent.kind(name) == NodeKind::array;
    node["kind"] = array ? "array" : "group";
    const nlohmann::json attributes = parent.attributes(name);
    node["encoding"] = encoding_of(attributes);
    if (array) {
      node.update(describe_array(parent.array(name)->info()));
    } else {
      const std::unique_ptr<Group> group = parent.group(name);
      if (attributes.contains("shape")) node["shape"] = attributes["shape"];
      node["children"] = describe_tree(*group);
    }
  } catch (const Error& error) {
    node["kind"] = "unreadable";
    node["message"] = error.what();
  }
  return node;
}

const Json* child(const Json& nodes, const std::string& name) {
  const auto found = std::find_if(nodes.begin(), nodes.end(),
                                  [&](const Json& node) { return node["name"] == name; });
  return found == nodes.end() ? nullptr : &*found;
}

/// The members of obsm, layers … by key, without the names of what lies below them.
Json describe_members(const Json& tree, const std::string& slot) {
  Json members = Json::object();
  const Json* group = child(tree, slot);
  if (group == nullptr || !group->contains("children")) return members;
  for (Json node : (*group)["children"]) {
    const std::string name = node["name"];
    node.erase("name");
    node.erase("children");
    members[name] = std::move(node);
  }
  return members;
}

std::int64_t loaded_bytes(const Json& nodes) {
  std::int64_t bytes = 0;
  for (const Json& node : nodes) {
    if (node.contains("children")) {
      bytes += loaded_bytes(node["children"]);
    } else if (node["kind"] == "array") {
      std::int64_t elements = 1;
      for (const Json& length : node["shape"]) elements *= length.get<std::int64_t>();
      if (node["dtype"] == table_dtype) {
        bytes += elements * loaded_string_bytes;  // a guess: its fields aren't looked at
        continue;
      }
      const DType dtype = parse_dtype(node["dtype"]);
      bytes += elements * (dtype == DType::string ? loaded_string_bytes
                                                  : static_cast<std::int64_t>(dtype_size(dtype)));
    }
  }
  return bytes;
}

std::int64_t disk_bytes(const fs::path& path) {
  if (!fs::is_directory(path)) return static_cast<std::int64_t>(fs::file_size(path));
  std::int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) bytes += static_cast<std::int64_t>(entry.file_size());
  }
  return bytes;
}

/// Names that occur more than once: how many, and some of them. null where there are too many
/// names to look.
Json describe_repeats(const DataFrame& frame) {
  if (frame.n_rows() > max_checked_names) return nullptr;
  const auto for_each_name = [&](const std::function<void(std::string_view)>& visit) {
    for (std::int64_t row = 0; row < frame.n_rows(); row += names_at_once) {
      const Strings names = frame.index({row, std::min(row + names_at_once, frame.n_rows())});
      for (std::int64_t i = 0; i < names.size(); ++i) visit(names[i]);
    }
  };
  std::vector<std::size_t> hashes;
  hashes.reserve(static_cast<std::size_t>(frame.n_rows()));
  for_each_name(
      [&](std::string_view name) { hashes.push_back(std::hash<std::string_view>{}(name)); });
  std::sort(hashes.begin(), hashes.end());
  std::set<std::size_t> repeated;
  for (std::size_t i = 1; i < hashes.size(); ++i) {
    if (hashes[i] == hashes[i - 1]) repeated.insert(hashes[i]);
  }
  // A second look: only names are shown that really repeat, in the order they appear.
  std::map<std::string, int, std::less<>> seen;
  std::vector<std::string> examples;
  std::int64_t count = 0;
  if (!repeated.empty()) {
    for_each_name([&](std::string_view name) {
      if (!repeated.contains(std::hash<std::string_view>{}(name))) return;
      if (++seen.try_emplace(std::string(name), 0).first->second != 2) return;
      ++count;
      if (examples.size() < shown_names) examples.emplace_back(name);
    });
  }
  return {{"count", count}, {"examples", examples}};
}

Json describe_frame(const DataFrame& frame) {
  Json columns = Json::array();
  for (const ColumnInfo& info : frame.columns()) {
    Json column = {{"name", info.name}, {"kind", column_kind_name(info.kind)}};
    try {
      column["dtype"] = dtype_name(info.dtype);
      if (info.kind == ColumnKind::categorical) {
        const Strings levels = frame.levels(info.name);
        column["ordered"] = info.ordered;
        column["levels"] = levels.size();
        column["first_levels"] = Json::array();
        for (std::int64_t i = 0; i < std::min<std::int64_t>(levels.size(), shown_names); ++i) {
          column["first_levels"].push_back(std::string(levels[i]));
        }
      }
    } catch (const Error& error) {
      column["message"] = error.what();
    }
    columns.push_back(std::move(column));
  }
  return {{"index", frame.index_name()},
          {"rows", frame.n_rows()},
          {"columns", std::move(columns)},
          {"repeated_names", describe_repeats(frame)}};
}

Json describe_x(const AnnData& data, const Json& tree) {
  if (!data.has_x()) return nullptr;
  const MatrixSource& x = data.x();
  const double cells = static_cast<double>(x.n_rows()) * x.n_cols();
  Json description = {{"encoding", x.encoding()},
                      {"dtype", dtype_name(x.dtype())},
                      {"nnz", x.nnz()},
                      {"density", cells > 0 ? static_cast<double>(x.nnz()) / cells : 0.0}};
  Json arrays = Json::object();
  if (const Json* node = child(tree, "X"); node != nullptr && node->contains("children")) {
    for (const char* name : {"data", "indices", "indptr"}) {
      const Json* array = child((*node)["children"], name);
      if (array != nullptr && (*array)["kind"] == "array") {
        arrays[name] = *array;
        arrays[name].erase("name");
        arrays[name].erase("kind");
        arrays[name].erase("encoding");
      }
    }
  } else if (node != nullptr && (*node)["kind"] == "array") {
    arrays["data"] = {{"dtype", (*node)["dtype"]},
                      {"shape", (*node)["shape"]},
                      {"chunks", (*node)["chunks"]},
                      {"codecs", (*node)["codecs"]}};
  }
  description["arrays"] = std::move(arrays);
  return description;
}

}  // namespace

Json describe_tree(const Group& group) {
  Json nodes = Json::array();
  for (const std::string& name : group.keys()) nodes.push_back(describe_node(group, name));
  return nodes;
}

Json describe_anndata(const fs::path& path) {
  const std::unique_ptr<AnnData> data = AnnData::open(path);
  const Json tree = describe_tree(data->root());
  Json description = {{"path", path.string()},
                      {"format", format_name(data->root().format())},
                      {"n_obs", data->n_obs()},
                      {"n_vars", data->n_vars()},
                      {"disk_bytes", disk_bytes(split_genome(path).file)},
                      {"loaded_bytes", loaded_bytes(tree)},
                      {"x", describe_x(*data, tree)},
                      {"obs", describe_frame(data->obs())},
                      {"var", describe_frame(data->var())}};
  for (const char* slot : {"layers", "obsm", "varm", "obsp", "varp", "uns"}) {
    description[slot] = describe_members(tree, slot);
  }
  description["raw"] = child(tree, "raw") != nullptr;
  return description;
}

}  // namespace cellmill
