#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "anndata/views/old_anndata.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

using nlohmann::json;

constexpr const char* hidden_categories = "__categories";

bool is_text(const json& attributes, const char* name) {
  const auto found = attributes.find(name);
  return found != attributes.end() && found->is_string();
}

json array_encoding(const ArrayInfo& info) {
  if (!info.fields.empty()) return encoding("rec-array", "0.2.0");
  const bool text = info.dtype == DType::string;
  if (info.shape.empty()) return encoding(text ? "string" : "numeric-scalar", "0.2.0");
  return encoding(text ? "string-array" : "array", "0.2.0");
}

/// An array without an encoding; a scalar or an array, of numbers or text.
Node modern_array(const Element& element, const json& attributes) {
  if (!encoding_type(attributes).empty()) return element_node(element);
  try {
    return element_node(element, array_encoding(element.array()->info()));
  } catch (const Error&) {
    return element_node(element);  // whoever reads it is told why it can't be
  }
}

/// A group as it is, with all below it in today's encodings, looked up when asked for.
class ModernGroup final : public ViewNode {
 public:
  ModernGroup(Element element, json attributes)
      : element_(std::move(element)), attributes_(std::move(attributes)) {}

  [[nodiscard]] NodeKind kind() const override { return NodeKind::group; }
  [[nodiscard]] json attributes() const override { return attributes_; }
  [[nodiscard]] std::vector<std::string> keys() const override { return element_.keys(); }
  [[nodiscard]] Node child(const std::string& name) const override {
    return modern_node(element_.child(name));
  }
  [[nodiscard]] std::unique_ptr<Array> array() const override { return nullptr; }

 private:
  Element element_;
  json attributes_;
};

/// csr_matrix or csc_matrix for a sparse group as scanpy's first versions wrote it.
json h5sparse_encoding(const json& attributes) {
  const bool csc = attributes["h5sparse_format"] == "csc";
  json modern = encoding(csc ? "csc_matrix" : "csr_matrix", "0.1.0");
  modern["shape"] = attributes.value("h5sparse_shape", json());
  return modern;
}

/// What a group without an encoding is by what lies in it: a categorical or nullable column, or
/// nothing known.
json column_encoding(const Element& element) {
  if (element.has("codes") && element.has("categories")) return encoding("categorical", "0.2.0");
  if (!element.has("values") || !element.has("mask")) return json::object();
  switch (element.child("values").array()->info().dtype) {
    case DType::string:
      return encoding("nullable-string-array", "0.1.0");
    case DType::boolean:
      return encoding("nullable-boolean", "0.1.0");
    default:
      return encoding("nullable-integer", "0.1.0");
  }
}

Node modern_group(const Element& element, const json& attributes) {
  const std::string type = encoding_type(attributes);
  if (type == "dataframe") return modern_frame(element);
  if (type == "dict" || type == "raw" || type == "anndata") {
    return std::make_shared<ModernGroup>(element, attributes);
  }
  if (!type.empty()) return element_node(element);
  if (is_text(attributes, "h5sparse_format")) {
    return element_node(element, h5sparse_encoding(attributes));
  }
  if (attributes.contains("_index") || attributes.contains("column-order")) {
    return modern_frame(element);
  }
  json modern = attributes;
  json column = column_encoding(element);
  if (!column.empty()) return element_node(element, std::move(column));
  modern.update(encoding("dict", "0.1.0"));
  return std::make_shared<ModernGroup>(element, std::move(modern));
}

/// The categories of a column of encoding 0.1.0: where its attribute points, or where they always
/// are.
std::optional<Element> find_categories(const Element& frame, const std::string& column,
                                       const json& pointer) {
  if (pointer.is_string() && !pointer.get_ref<const std::string&>().empty()) {
    const std::string& path = pointer.get_ref<const std::string&>();
    Element pointed = path.front() == '/' ? Element{frame.root, path.substr(1)} : frame.child(path);
    if (pointed.kind() != NodeKind::none) return pointed;
  }
  Element usual = frame.child(std::string(hidden_categories) + '/' + column);
  if (usual.kind() != NodeKind::none) return usual;
  return std::nullopt;
}

bool is_true(const json& value) {
  return value.is_boolean() ? value.get<bool>() : value.is_number() && value.get<double>() != 0;
}

/// Whether a name means the group itself, to libhdf5: nothing, or dots and slashes alone.
bool is_itself(std::string_view name) {
  for (std::size_t at = 0; at < name.size(); ++at) {
    const bool dot = name[at] == '.' && (at == 0 || name[at - 1] == '/') &&
                     (at + 1 == name.size() || name[at + 1] == '/');
    if (name[at] != '/' && !dot) return false;
  }
  return true;
}

Node modern_column(const Element& frame, const std::string& name) {
  if (is_itself(name)) return nullptr;
  const Element column = frame.child(name);
  const NodeKind kind = column.kind();
  if (kind == NodeKind::none) return nullptr;
  if (kind == NodeKind::group) return modern_node(column);
  const json attributes = column.attributes();
  const auto pointer = attributes.find("categories");
  if (pointer == attributes.end()) return modern_node(column);
  const std::optional<Element> categories = find_categories(frame, name, *pointer);
  if (!categories) return element_node(column);
  return categorical_node(modern_node(column), modern_node(*categories),
                          is_true(categories->attributes().value("ordered", json(false))));
}

std::string find_index_name(const Element& frame, const json& attributes) {
  if (is_text(attributes, "_index") &&
      !is_itself(attributes["_index"].get_ref<const std::string&>())) {
    return attributes["_index"];
  }
  for (const char* name : {"_index", "index"}) {
    if (frame.has(name)) return name;
  }
  return "_index";
}

std::vector<std::string> find_column_names(const Element& frame, const json& attributes,
                                           const std::string& index_name) {
  const auto order = attributes.find("column-order");
  std::vector<std::string> names;
  if (order != attributes.end()) {
    if (!order->is_array()) return {};  // h5py's form of no names
    for (const json& name : *order) {
      if (name.is_string()) names.push_back(name);
    }
    return names;
  }
  for (const std::string& name : frame.keys()) {
    if (name != index_name && name != hidden_categories) names.push_back(name);
  }
  return names;
}

/// How many rows a frame without an index has: as many as its first column.
std::int64_t rows_of(const Columns& columns) {
  for (const auto& [name, column] : columns) {
    if (column == nullptr) continue;
    Node values = column;
    for (const char* member : {"codes", "values"}) {
      if (column->kind() != NodeKind::group) break;
      if (const Node found = column->child(member)) values = found;
    }
    if (values->kind() != NodeKind::array) continue;
    const std::vector<std::int64_t> shape = values->array()->info().shape;
    if (!shape.empty()) return shape[0];
  }
  return 0;
}

}  // namespace

Node categorical_node(Node codes, Node categories, bool ordered) {
  json attributes = encoding("categorical", "0.2.0");
  attributes["ordered"] = ordered;
  return group_node(std::move(attributes),
                    {{"codes", std::move(codes)}, {"categories", std::move(categories)}});
}

Node modern_frame(const Element& element) {
  const json attributes = element.attributes();
  const std::string index_name = find_index_name(element, attributes);
  Columns columns;
  for (const std::string& name : find_column_names(element, attributes, index_name)) {
    columns.emplace_back(name, modern_column(element, name));
  }
  if (element.has(index_name)) {
    return frame_node(index_name, modern_node(element.child(index_name)), columns);
  }
  const std::string location = element.root->location() + ": " + element.path + "/" + index_name;
  return frame_node(index_name, row_numbers(location, rows_of(columns)), columns);
}

Node modern_node(const Element& element) {
  switch (element.kind()) {
    case NodeKind::none:
      return nullptr;
    case NodeKind::array:
      return modern_array(element, element.attributes());
    case NodeKind::group:
      return modern_group(element, element.attributes());
  }
  return nullptr;
}

}  // namespace cellmill
