#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "cellmill/storage/group.hpp"

namespace cellmill {

class ViewNode;
using Node = std::shared_ptr<const ViewNode>;

/// One element of a view: a group, whose children are nodes, or an array. What a node gives is made
/// when it is asked for. Never changes, so it is thread-safe.
class ViewNode {
 public:
  ViewNode() = default;
  ViewNode(const ViewNode&) = delete;
  ViewNode& operator=(const ViewNode&) = delete;
  virtual ~ViewNode() = default;

  [[nodiscard]] virtual NodeKind kind() const = 0;
  [[nodiscard]] virtual nlohmann::json attributes() const = 0;
  /// Names of a group's children, sorted; none of an array.
  [[nodiscard]] virtual std::vector<std::string> keys() const = 0;
  /// A group's child; null if there is none of that name.
  [[nodiscard]] virtual Node child(const std::string& name) const = 0;
  /// Only asked of arrays.
  [[nodiscard]] virtual std::unique_ptr<Array> array() const = 0;
  /// Only asked of tables in one array; null if it is none.
  [[nodiscard]] virtual std::unique_ptr<Array> field(const std::string& name) const;
};

/// An element of a real store, by its path from the root (empty: the root itself).
struct Element {
  std::shared_ptr<const Group> root;
  std::string path;

  [[nodiscard]] NodeKind kind() const { return root->kind(path); }
  [[nodiscard]] nlohmann::json attributes() const { return root->attributes(path); }
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] std::unique_ptr<Array> array() const { return root->array(path); }
  [[nodiscard]] std::unique_ptr<Array> field(const std::string& name) const {
    return root->field(path, name);
  }
  [[nodiscard]] Element child(const std::string& name) const;
  [[nodiscard]] bool has(const std::string& name) const {
    return child(name).kind() != NodeKind::none;
  }
};

using NodeMap = std::map<std::string, Node>;

[[nodiscard]] Node group_node(nlohmann::json attributes, NodeMap children);
[[nodiscard]] Node array_node(nlohmann::json attributes,
                              std::function<std::unique_ptr<Array>()> make);
/// The element and all below it as they are, with these attributes added to the element's own.
[[nodiscard]] Node element_node(Element element, nlohmann::json added = nlohmann::json::object());

/// A group in which some children are others than in `base`; a null one is hidden.
[[nodiscard]] Node changed_node(Node base, NodeMap changes);

/// An array of 0, 1, 2 …: names for rows that have none.
[[nodiscard]] Node row_numbers(const std::string& location, std::int64_t rows);

/// The attributes of an encoding: `encoding("dict", "0.1.0")`.
[[nodiscard]] nlohmann::json encoding(const char* type, const char* version);
/// The encoding-type among these attributes; empty if there is none.
[[nodiscard]] std::string encoding_type(const nlohmann::json& attributes);

/// The columns of a dataframe, in their order.
using Columns = std::vector<std::pair<std::string, Node>>;

/// A dataframe's group. A null column is listed but not there.
[[nodiscard]] Node frame_node(const std::string& index_name, Node index, const Columns& columns);

/// A tree of nodes as a Group. Writing is refused.
/// \param store for messages: the file's name
[[nodiscard]] std::unique_ptr<Group> open_view(std::string store, StoreFormat format, Node root);

}  // namespace cellmill
