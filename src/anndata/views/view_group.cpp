#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "anndata/views/view_node.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

class ViewGroup final : public Group {
 public:
  ViewGroup(std::string store, StoreFormat format, std::string path, Node node)
      : store_(std::move(store)),
        format_(format),
        path_(std::move(path)),
        location_(path_.empty() ? store_ : store_ + ": " + path_),
        node_(std::move(node)) {}

  [[nodiscard]] const std::string& location() const override { return location_; }
  [[nodiscard]] StoreFormat format() const override { return format_; }

  [[nodiscard]] NodeKind kind(const std::string& name) const override {
    const Node node = find(name);
    return node == nullptr ? NodeKind::none : node->kind();
  }

  [[nodiscard]] std::vector<std::string> keys() const override { return node_->keys(); }

  [[nodiscard]] std::unique_ptr<Group> group(const std::string& name) const override {
    return std::make_unique<ViewGroup>(store_, format_, path_of(name),
                                       expect(name, NodeKind::group));
  }

  [[nodiscard]] std::unique_ptr<Array> array(const std::string& name) const override {
    return expect(name, NodeKind::array)->array();
  }

  [[nodiscard]] std::unique_ptr<Array> field(const std::string& name,
                                             const std::string& field) const override {
    std::unique_ptr<Array> found = expect(name, NodeKind::array)->field(field);
    if (found != nullptr) return found;
    throw input_error(fmt::format("{}: {} is no table in one array", location_, name));
  }

  [[nodiscard]] nlohmann::json attributes(const std::string& name) const override {
    const Node node = find(name);
    if (node == nullptr) throw missing(name);
    return node->attributes();
  }

  std::unique_ptr<Group> create_group(const std::string& /*name*/) override { refuse(); }
  std::unique_ptr<ArrayWriter> create_array(const std::string& /*name*/,
                                            const ArraySpec& /*spec*/) override {
    refuse();
  }
  void create_table(const std::string& /*name*/,
                    std::span<const TableColumn> /*columns*/) override {
    refuse();
  }
  void create_null(const std::string& /*name*/) override { refuse(); }
  std::unique_ptr<ArrayWriter> open_writer(const std::string& /*name*/) override { refuse(); }
  void set_attributes(const std::string& /*name*/, const nlohmann::json& /*attributes*/) override {
    refuse();
  }
  void flush() override {}

 private:
  [[noreturn]] void refuse() const {
    throw io_error(location_ + ": an old or foreign file is read only, it can't be written to");
  }

  [[nodiscard]] std::string path_of(const std::string& name) const {
    if (name.empty()) return path_;
    return path_.empty() ? name : path_ + '/' + name;
  }

  [[nodiscard]] Node find(const std::string& name) const {
    Node node = node_;
    for (std::size_t begin = 0; node != nullptr && begin < name.size();) {
      const std::size_t end = std::min(name.find('/', begin), name.size());
      node =
          node->kind() == NodeKind::group ? node->child(name.substr(begin, end - begin)) : nullptr;
      begin = end + 1;
    }
    return node;
  }

  [[nodiscard]] Error missing(const std::string& name) const {
    return missing_error(fmt::format("{}: there is no '{}'", location_, name));
  }

  [[nodiscard]] Node expect(const std::string& name, NodeKind wanted) const {
    Node node = find(name);
    if (node == nullptr) throw missing(name);
    if (node->kind() == wanted) return node;
    throw input_error(fmt::format(
        "{}: {} is {}", location_, name,
        wanted == NodeKind::array ? "a group, expected an array" : "an array, expected a group"));
  }

  std::string store_;
  StoreFormat format_;
  std::string path_;
  std::string location_;
  Node node_;
};

}  // namespace

std::unique_ptr<Group> open_view(std::string store, StoreFormat format, Node root) {
  return std::make_unique<ViewGroup>(std::move(store), format, "", std::move(root));
}

}  // namespace cellmill
