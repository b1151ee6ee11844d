#include "anndata/views/old_anndata.hpp"

#include <fmt/format.h>

#include <utility>

#include "cellmill/core/error.hpp"
#include "cellmill/core/log.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

Node dict_node(NodeMap children = {}) {
  return group_node(encoding("dict", "0.1.0"), std::move(children));
}

bool is_modern_frame(const Group& root, const std::string& name) {
  if (root.kind(name) != NodeKind::group) return false;
  const json attributes = root.attributes(name);
  return encoding_type(attributes) == "dataframe" &&
         attributes.value("encoding-version", json()) == "0.2.0";
}

/// `obs`, `raw.var`, `obsm` … of any age.
Node slot_node(const Element& slot, const std::string& name) {
  if (!is_table(slot)) return modern_node(slot);
  if (name == "obs" || name == "var") return table_frame(slot);
  return name == "obsm" || name == "varm" ? table_dict(slot) : modern_node(slot);
}

/// `raw.X`, `raw.var`, `raw.varm` beside X, which later became the members of `raw`; and those of
/// `raw` that are tables.
NodeMap old_raw(const Element& root) {
  NodeMap members;
  for (const std::string name : {"X", "var", "varm"}) {
    const Element now = root.child("raw/" + name);
    const Element dotted = root.child("raw." + name);
    if (is_table(now)) {
      members.emplace(name, slot_node(now, name));
    } else if (Node member = slot_node(dotted, name)) {
      members.emplace(name, std::move(member));
    }
  }
  return members;
}

/// obs and var that are tables have their categories in uns.
void use_old_categories(const Element& root, NodeMap& slots) {
  OldCategories categories = find_old_categories(root);
  if (!categories.obs.empty()) slots["obs"] = table_frame(root.child("obs"), categories.obs);
  if (!categories.var.empty()) slots["var"] = table_frame(root.child("var"), categories.var);
  if (!categories.hidden.empty()) {
    slots["uns"] = changed_node(slots["uns"], std::move(categories.hidden));
  }
}

bool is_graph(const Node& node) {
  if (node == nullptr) return false;
  try {
    if (node->kind() == NodeKind::array) return node->array()->info().shape.size() == 2;
  } catch (const Error&) {
    return false;  // it stays where it is, for its reader to be told
  }
  const std::string type = encoding_type(node->attributes());
  return type == "csr_matrix" || type == "csc_matrix";
}

/// What lay in uns["neighbors"] lies in obsp since anndata 0.7.
void move_graphs(NodeMap& slots) {
  const auto uns = slots.find("uns");
  if (uns == slots.end() || uns->second->kind() != NodeKind::group) return;
  const Node neighbors = uns->second->child("neighbors");
  if (neighbors == nullptr || neighbors->kind() != NodeKind::group) return;
  NodeMap graphs;
  NodeMap hidden;
  for (const char* name : {"distances", "connectivities"}) {
    Node graph = neighbors->child(name);
    if (!is_graph(graph)) continue;
    graphs.emplace(name, std::move(graph));
    hidden.emplace(name, nullptr);
  }
  if (graphs.empty()) return;
  uns->second = changed_node(uns->second, {{"neighbors", changed_node(neighbors, hidden)}});
  const auto obsp = slots.find("obsp");
  if (obsp == slots.end()) {
    slots.emplace("obsp", dict_node(std::move(graphs)));
  } else {
    obsp->second = changed_node(obsp->second, std::move(graphs));
  }
}

void warn_of_missing_names(const Element& root, const char* name) {
  const Element frame = root.child(name);
  if (frame.kind() != NodeKind::group) return;
  const json attributes = frame.attributes();
  const std::string index = attributes.value("_index", json("_index")).is_string()
                                ? attributes.value("_index", std::string("_index"))
                                : "_index";
  if (frame.has(index) || frame.has("index")) return;
  log_warning(fmt::format("{}: {} has no names ('{}' is missing); its rows are called 0, 1, 2 …",
                          root.root->location(), name, index));
}

}  // namespace

bool is_old_anndata(const Group& root) {
  if (root.kind("obs") == NodeKind::none || root.kind("var") == NodeKind::none) return false;
  return encoding_type(root.attributes()) != "anndata" || !is_modern_frame(root, "obs") ||
         !is_modern_frame(root, "var") || root.kind("raw.X") != NodeKind::none ||
         root.kind("raw.var") != NodeKind::none;
}

Node old_anndata(const std::shared_ptr<const Group>& store) {
  const Element root{store, ""};
  NodeMap slots;
  for (const std::string& name : root.keys()) {
    if (name.starts_with("raw.")) continue;
    if (Node slot = slot_node(root.child(name), name)) slots.emplace(name, std::move(slot));
  }
  for (const char* name : {"obs", "var"}) warn_of_missing_names(root, name);
  use_old_categories(root, slots);
  if (NodeMap members = old_raw(root); !members.empty()) {
    const auto raw = slots.find("raw");
    slots["raw"] = raw != slots.end() && raw->second->kind() == NodeKind::group
                       ? changed_node(raw->second, std::move(members))
                       : group_node(encoding("raw", "0.1.0"), std::move(members));
  }
  move_graphs(slots);
  json attributes = root.attributes();
  attributes.update(encoding("anndata", "0.1.0"));
  return group_node(std::move(attributes), std::move(slots));
}

}  // namespace cellmill
