#include "anndata/views/view_node.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

class GroupNode final : public ViewNode {
 public:
  GroupNode(json attributes, NodeMap children)
      : attributes_(std::move(attributes)), children_(std::move(children)) {}

  [[nodiscard]] NodeKind kind() const override { return NodeKind::group; }
  [[nodiscard]] json attributes() const override { return attributes_; }
  [[nodiscard]] std::vector<std::string> keys() const override {
    std::vector<std::string> names;
    for (const auto& [name, node] : children_) names.push_back(name);
    return names;
  }
  [[nodiscard]] Node child(const std::string& name) const override {
    const auto found = children_.find(name);
    return found == children_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::unique_ptr<Array> array() const override { return nullptr; }

 private:
  json attributes_;
  NodeMap children_;
};

class ArrayNode final : public ViewNode {
 public:
  ArrayNode(json attributes, std::function<std::unique_ptr<Array>()> make)
      : attributes_(std::move(attributes)), make_(std::move(make)) {}

  [[nodiscard]] NodeKind kind() const override { return NodeKind::array; }
  [[nodiscard]] json attributes() const override { return attributes_; }
  [[nodiscard]] std::vector<std::string> keys() const override { return {}; }
  [[nodiscard]] Node child(const std::string& /*name*/) const override { return nullptr; }
  [[nodiscard]] std::unique_ptr<Array> array() const override { return make_(); }

 private:
  json attributes_;
  std::function<std::unique_ptr<Array>()> make_;
};

class ElementNode final : public ViewNode {
 public:
  ElementNode(Element element, json added)
      : element_(std::move(element)), kind_(element_.kind()), added_(std::move(added)) {}

  [[nodiscard]] NodeKind kind() const override { return kind_; }
  [[nodiscard]] json attributes() const override {
    json attributes = element_.attributes();
    attributes.update(added_);
    return attributes;
  }
  [[nodiscard]] std::vector<std::string> keys() const override {
    return kind_ == NodeKind::group ? element_.keys() : std::vector<std::string>();
  }
  [[nodiscard]] Node child(const std::string& name) const override {
    Element child = element_.child(name);
    return child.kind() == NodeKind::none ? nullptr : element_node(std::move(child));
  }
  [[nodiscard]] std::unique_ptr<Array> array() const override { return element_.array(); }
  [[nodiscard]] std::unique_ptr<Array> field(const std::string& name) const override {
    return element_.field(name);
  }

 private:
  Element element_;
  NodeKind kind_;
  json added_;
};

class ChangedNode final : public ViewNode {
 public:
  ChangedNode(Node base, NodeMap changes) : base_(std::move(base)), changes_(std::move(changes)) {}

  [[nodiscard]] NodeKind kind() const override { return NodeKind::group; }
  [[nodiscard]] json attributes() const override { return base_->attributes(); }
  [[nodiscard]] std::vector<std::string> keys() const override {
    std::set<std::string> names;
    for (const std::string& name : base_->keys()) names.insert(name);
    for (const auto& [name, node] : changes_) {
      if (node == nullptr) {
        names.erase(name);
      } else {
        names.insert(name);
      }
    }
    return {names.begin(), names.end()};
  }
  [[nodiscard]] Node child(const std::string& name) const override {
    const auto found = changes_.find(name);
    return found == changes_.end() ? base_->child(name) : found->second;
  }
  [[nodiscard]] std::unique_ptr<Array> array() const override { return nullptr; }

 private:
  Node base_;
  NodeMap changes_;
};

/// Computed, not read: a chunk's number is all that is fetched.
class RowNumbers final : public Array {
 public:
  RowNumbers(std::string location, std::int64_t rows)
      : info_{.location = std::move(location),
              .dtype = DType::int64,
              .shape = {rows},
              .chunk_shape = {std::clamp<std::int64_t>(rows, 1, 65'536)},
              .codecs = "none",
              .fields = {},
              .time = {}} {}

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }
  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    EncodedChunk encoded;
    encoded.chunk = chunk;
    return encoded;
  }
  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t /*chunk*/) const override { return 0; }
  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    std::vector<std::int64_t> numbers(out.size() / sizeof(std::int64_t));
    std::iota(numbers.begin(), numbers.end(), encoded.chunk * info_.chunk_shape[0]);
    std::ranges::copy(std::as_bytes(std::span(numbers)), out.begin());
  }
  [[nodiscard]] Strings read_strings(Range /*range*/) const override {
    throw input_error(info_.location + ": holds numbers, expected strings");
  }

 private:
  ArrayInfo info_;
};

}  // namespace

std::unique_ptr<Array> ViewNode::field(const std::string& /*name*/) const { return nullptr; }

std::vector<std::string> Element::keys() const {
  return path.empty() ? root->keys() : root->group(path)->keys();
}

Element Element::child(const std::string& name) const {
  return {root, path.empty() ? name : path + '/' + name};
}

Node group_node(json attributes, NodeMap children) {
  return std::make_shared<GroupNode>(std::move(attributes), std::move(children));
}

Node array_node(json attributes, std::function<std::unique_ptr<Array>()> make) {
  return std::make_shared<ArrayNode>(std::move(attributes), std::move(make));
}

Node element_node(Element element, json added) {
  return std::make_shared<ElementNode>(std::move(element), std::move(added));
}

Node changed_node(Node base, NodeMap changes) {
  return std::make_shared<ChangedNode>(std::move(base), std::move(changes));
}

Node row_numbers(const std::string& location, std::int64_t rows) {
  return array_node(encoding("array", "0.2.0"),
                    [=] { return std::make_unique<RowNumbers>(location, rows); });
}

json encoding(const char* type, const char* version) {
  return {{"encoding-type", type}, {"encoding-version", version}};
}

std::string encoding_type(const json& attributes) {
  const auto found = attributes.find("encoding-type");
  return found != attributes.end() && found->is_string() ? found->get<std::string>() : "";
}

Node frame_node(const std::string& index_name, Node index, const Columns& columns) {
  json attributes = encoding("dataframe", "0.2.0");
  attributes["_index"] = index_name;
  attributes["column-order"] = json::array();
  NodeMap children{{index_name, std::move(index)}};
  for (const auto& [name, column] : columns) {
    attributes["column-order"].push_back(name);
    if (column != nullptr) children.emplace(name, column);
  }
  return group_node(std::move(attributes), std::move(children));
}

}  // namespace cellmill
