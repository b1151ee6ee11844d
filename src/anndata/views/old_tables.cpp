#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "anndata/views/old_anndata.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

namespace {

constexpr std::string_view categories_suffix = "_categories";
constexpr std::int64_t codes_at_once = 65'536;

/// The one element of a 0-d array as a vector: how a lone category was written.
class VectorOfScalar final : public Array {
 public:
  explicit VectorOfScalar(std::unique_ptr<Array> scalar)
      : scalar_(std::move(scalar)), info_(scalar_->info()) {
    info_.shape = {1};
    info_.chunk_shape = {1};
  }

  [[nodiscard]] const ArrayInfo& info() const override { return info_; }
  [[nodiscard]] EncodedChunk fetch(std::int64_t chunk) const override {
    return scalar_->fetch(chunk);
  }
  [[nodiscard]] std::int64_t encoded_bytes(std::int64_t chunk) const override {
    return scalar_->encoded_bytes(chunk);
  }
  void decode(const EncodedChunk& encoded, std::span<std::byte> out) const override {
    scalar_->decode(encoded, out);
  }
  [[nodiscard]] Strings read_strings(Range range) const override {
    return scalar_->read_strings(range);
  }

 private:
  std::unique_ptr<Array> scalar_;
  ArrayInfo info_;
};

std::unique_ptr<Array> open_vector(const Element& element) {
  std::unique_ptr<Array> array = element.array();
  if (!array->info().shape.empty()) return array;
  return std::make_unique<VectorOfScalar>(std::move(array));
}

Node field_node(const Element& table, const std::string& name) {
  nlohmann::json attributes = encoding("array", "0.2.0");
  try {
    const DType dtype = table.field(name)->info().dtype;
    if (dtype == DType::string) attributes = encoding("string-array", "0.2.0");
  } catch (const Error&) {
    // whoever reads it is told why it can't be
  }
  return array_node(std::move(attributes), [=] { return table.field(name); });
}

std::vector<std::string> fields_of(const Element& table) {
  return is_table(table) ? table.array()->info().fields : std::vector<std::string>();
}

/// The column of that name holds whole numbers, and may be the codes of categories.
std::unique_ptr<Array> find_codes(const Element& table, const std::string& name) {
  const std::vector<std::string> fields = fields_of(table);
  if (fields.empty() || std::find(fields.begin() + 1, fields.end(), name) == fields.end()) {
    return nullptr;
  }
  std::unique_ptr<Array> codes = table.field(name);
  return is_integer(codes->info().dtype) ? std::move(codes) : nullptr;
}

bool all_below(const Array& codes, std::int64_t count) {
  const std::int64_t rows = codes.info().shape[0];
  for (std::int64_t row = 0; row < rows; row += codes_at_once) {
    const auto some = read_range<std::int64_t>(codes, {row, std::min(row + codes_at_once, rows)});
    if (std::ranges::any_of(some, [&](std::int64_t code) { return code >= count; })) return false;
  }
  return true;
}

/// The column that this member of uns has the categories of; none if it has another name.
std::optional<std::string> column_of(const std::string& member) {
  if (!member.ends_with(categories_suffix)) return std::nullopt;
  return member.substr(0, member.size() - categories_suffix.size());
}

}  // namespace

bool is_table(const Element& element) {
  return element.kind() == NodeKind::array && !element.array()->info().fields.empty();
}

Node table_frame(const Element& table, const std::map<std::string, Element>& categories) {
  const std::vector<std::string> fields = fields_of(table);
  Columns columns;
  for (std::size_t i = 1; i < fields.size(); ++i) {
    Node column = field_node(table, fields[i]);
    const auto found = categories.find(fields[i]);
    if (found != categories.end()) {
      const Element levels = found->second;
      const bool text = levels.array()->info().dtype == DType::string;
      column = categorical_node(std::move(column),
                                array_node(encoding(text ? "string-array" : "array", "0.2.0"),
                                           [levels] { return open_vector(levels); }),
                                false);
    }
    columns.emplace_back(fields[i], std::move(column));
  }
  return frame_node(fields.front(), field_node(table, fields.front()), columns);
}

Node table_dict(const Element& table) {
  NodeMap members;
  for (const std::string& name : fields_of(table)) members.emplace(name, field_node(table, name));
  return group_node(encoding("dict", "0.1.0"), std::move(members));
}

OldCategories find_old_categories(const Element& root) {
  OldCategories found;
  const Element uns = root.child("uns");
  if (!is_table(root.child("obs")) || uns.kind() != NodeKind::group) return found;
  for (const std::string& member : uns.keys()) {
    const std::optional<std::string> column = column_of(member);
    const Element levels = uns.child(member);
    if (!column || levels.kind() != NodeKind::array) continue;
    const std::unique_ptr<Array> in_obs = find_codes(root.child("obs"), *column);
    const std::unique_ptr<Array> in_var = find_codes(root.child("var"), *column);
    // Where both have such a column, those that fit are meant, as anndata decides it.
    const std::int64_t count = element_count(levels.array()->info());
    const bool both = in_obs != nullptr && in_var != nullptr;
    if (in_obs && (!both || all_below(*in_obs, count))) found.obs.emplace(*column, levels);
    if (in_var && (!both || all_below(*in_var, count))) found.var.emplace(*column, levels);
    if (found.obs.contains(*column) || found.var.contains(*column)) {
      found.hidden.emplace(member, nullptr);
    }
  }
  return found;
}

}  // namespace cellmill
