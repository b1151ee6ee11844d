#include "cellmill/anndata/write.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "anndata/write_encoding.hpp"
#include "cellmill/core/error.hpp"

namespace cellmill {

void set_encoding(Group& parent, const std::string& name, const char* type, const char* version) {
  parent.set_attributes(name, {{"encoding-type", type}, {"encoding-version", version}});
}

void check_name(const Group& parent, const std::string& name) {
  if (!name.empty() && name.find('/') == std::string::npos) return;
  throw input_error(
      fmt::format("{}: '{}' can't be the name of an element: it is empty or holds a '/'",
                  parent.location(), name));
}

void write_anndata_root(Group& root) {
  set_encoding(root, "", "anndata", "0.1.0");
  for (const char* name : {"layers", "obsm", "varm", "obsp", "varp", "uns"}) {
    (void)create_dict(root, name);
  }
}

std::unique_ptr<Group> create_dict(Group& parent, const std::string& name) {
  check_name(parent, name);
  std::unique_ptr<Group> group = parent.create_group(name);
  set_encoding(*group, "", "dict", "0.1.0");
  return group;
}

std::unique_ptr<ArrayWriter> create_element(Group& parent, const std::string& name,
                                            const ArraySpec& spec) {
  check_name(parent, name);
  std::unique_ptr<ArrayWriter> writer = parent.create_array(name, spec);
  set_encoding(parent, name, spec.dtype == DType::string ? "string-array" : "array", "0.2.0");
  return writer;
}

std::unique_ptr<Group> create_csr_matrix(Group& parent, const std::string& name,
                                         std::int64_t n_rows, std::int64_t n_cols) {
  check_name(parent, name);
  std::unique_ptr<Group> group = parent.create_group(name);
  set_encoding(*group, "", "csr_matrix", "0.1.0");
  group->set_attributes("", {{"shape", {n_rows, n_cols}}});
  return group;
}

std::unique_ptr<Group> create_raw(Group& root) {
  std::unique_ptr<Group> group = root.create_group("raw");
  set_encoding(*group, "", "raw", "0.1.0");
  (void)create_dict(*group, "varm");
  return group;
}

void write_text(Group& parent, const std::string& name, const std::string& value) {
  check_name(parent, name);
  write_string_scalar(parent, name, value);
  set_encoding(parent, name, "string", "0.2.0");
}

void write_texts(Group& parent, const std::string& name, const Strings& values) {
  check_name(parent, name);
  write_string_array(parent, name, values);
  set_encoding(parent, name, "string-array", "0.2.0");
}

template <class T>
void write_number(Group& parent, const std::string& name, T value) {
  check_name(parent, name);
  write_scalar(parent, name, value);
  set_encoding(parent, name, "numeric-scalar", "0.2.0");
}
template void write_number<bool>(Group&, const std::string&, bool);
template void write_number<std::int32_t>(Group&, const std::string&, std::int32_t);
template void write_number<std::int64_t>(Group&, const std::string&, std::int64_t);
template void write_number<float>(Group&, const std::string&, float);
template void write_number<double>(Group&, const std::string&, double);

template <class T>
void write_dense(Group& parent, const std::string& name, std::span<const T> values,
                 std::vector<std::int64_t> shape) {
  check_name(parent, name);
  write_array(parent, name, values, std::move(shape));
  set_encoding(parent, name, "array", "0.2.0");
}
template void write_dense<std::int8_t>(Group&, const std::string&, std::span<const std::int8_t>,
                                       std::vector<std::int64_t>);
template void write_dense<std::int32_t>(Group&, const std::string&, std::span<const std::int32_t>,
                                        std::vector<std::int64_t>);
template void write_dense<std::int64_t>(Group&, const std::string&, std::span<const std::int64_t>,
                                        std::vector<std::int64_t>);
template void write_dense<float>(Group&, const std::string&, std::span<const float>,
                                 std::vector<std::int64_t>);
template void write_dense<double>(Group&, const std::string&, std::span<const double>,
                                  std::vector<std::int64_t>);

void write_truths(Group& parent, const std::string& name, std::span<const std::uint8_t> values,
                  std::vector<std::int64_t> shape) {
  check_name(parent, name);
  // A bool is a byte that holds 0 or 1; std::vector<bool> has no bytes to take.
  static_assert(sizeof(bool) == sizeof(std::uint8_t));
  write_array(parent, name, std::span(reinterpret_cast<const bool*>(values.data()), values.size()),
              std::move(shape));
  set_encoding(parent, name, "array", "0.2.0");
}

}  // namespace cellmill
