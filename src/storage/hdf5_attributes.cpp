#include "storage/hdf5_attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "storage/hdf5_strings.hpp"
#include "storage/hdf5_types.hpp"

namespace cellmill::hdf5 {

namespace {

using nlohmann::json;

/// The flat values nested by the axes of the dataspace.
json nested(std::span<const hsize_t> shape, std::vector<json>::const_iterator& next) {
  if (shape.empty()) return *next++;
  json values = json::array();
  for (hsize_t i = 0; i < shape[0]; ++i) values.push_back(nested(shape.subspan(1), next));
  return values;
}

template <class T>
std::vector<json> numbers(hid_t attribute, hid_t type, std::size_t count) {
  std::vector<T> values(count);
  check(H5Aread(attribute, type, values.data()), Error::Kind::input, "its value");
  return {values.begin(), values.end()};
}

std::vector<json> references(hid_t attribute, std::size_t count) {
  std::vector<hobj_ref_t> values(count);
  check(H5Aread(attribute, H5T_STD_REF_OBJ, values.data()), Error::Kind::input, "its value");
  std::vector<json> paths;
  for (const hobj_ref_t& value : values) {
    const ssize_t length = H5Rget_name(attribute, H5R_OBJECT, &value, nullptr, 0);
    std::string path(static_cast<std::size_t>(std::max<ssize_t>(length, 0)) + 1, '\0');
    if (length > 0) H5Rget_name(attribute, H5R_OBJECT, &value, path.data(), path.size());
    path.pop_back();
    paths.emplace_back(path);
  }
  return paths;
}

std::vector<json> texts(hid_t attribute, hid_t type, std::size_t count) {
  const Strings strings = read_attribute_strings(attribute, type, static_cast<std::int64_t>(count));
  std::vector<json> values;
  for (std::int64_t i = 0; i < strings.size(); ++i) values.emplace_back(std::string(strings[i]));
  return values;
}

/// The values of an attribute, or none if JSON has no such type.
std::vector<json> values_of(hid_t attribute, hid_t type, std::size_t count) {
  switch (H5Tget_class(type)) {
    case H5T_INTEGER:
      return H5Tget_sign(type) == H5T_SGN_2
                 ? numbers<std::int64_t>(attribute, H5T_NATIVE_INT64, count)
                 : numbers<std::uint64_t>(attribute, H5T_NATIVE_UINT64, count);
    case H5T_FLOAT:
      return numbers<double>(attribute, H5T_NATIVE_DOUBLE, count);
    case H5T_STRING:
      return texts(attribute, type, count);
    case H5T_ENUM: {
      if (!is_h5py_bool(type)) return {};
      const Handle memory = memory_type(DType::boolean);
      std::vector<json> truths;
      for (const json& value : numbers<std::int8_t>(attribute, memory.get(), count)) {
        truths.emplace_back(value != 0);
      }
      return truths;
    }
    case H5T_REFERENCE:
      if (H5Tequal(type, H5T_STD_REF_OBJ) <= 0) return {};
      return references(attribute, count);
    default:
      return {};
  }
}

void add_attribute(hid_t object, const std::string& name, json& attributes) {
  const Handle attribute =
      checked(H5Aopen(object, name.c_str(), H5P_DEFAULT), H5Aclose, Error::Kind::input, name);
  const Handle space = checked(H5Aget_space(attribute.get()), H5Sclose, Error::Kind::input, name);
  const Handle type = checked(H5Aget_type(attribute.get()), H5Tclose, Error::Kind::input, name);
  if (H5Sget_simple_extent_type(space.get()) == H5S_NULL) {
    attributes[name] = nullptr;
    return;
  }
  std::vector<hsize_t> shape(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
  H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr);
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space.get()));
  const std::vector<json> values =
      count == 0 ? std::vector<json>() : values_of(attribute.get(), type.get(), count);
  if (values.size() != count) return;  // a type without a JSON form
  auto next = values.begin();
  attributes[name] = nested(shape, next);
}

herr_t collect_name(hid_t /*object*/, const char* name, const H5A_info_t* /*info*/, void* to) {
  static_cast<std::vector<std::string>*>(to)->emplace_back(name);
  return 0;
}

/// Replaces the attribute: its type may be another now.
Handle create(hid_t object, const std::string& name, const Handle& type, const Handle& space) {
  if (H5Aexists(object, name.c_str()) > 0) {
    check(H5Adelete(object, name.c_str()), Error::Kind::io, name);
  }
  return checked(
      H5Acreate2(object, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose,
      Error::Kind::io, name);
}

template <class T>
void write_numbers(hid_t object, const std::string& name, DType dtype, const Handle& space,
                   std::span<const json> values) {
  std::vector<T> numbers;
  for (const json& value : values) numbers.push_back(value.get<T>());
  const Handle type = memory_type(dtype);
  const Handle attribute = create(object, name, type, space);
  check(H5Awrite(attribute.get(), type.get(), numbers.data()), Error::Kind::io, name);
}

void write_texts(hid_t object, const std::string& name, const Handle& space,
                 std::span<const json> values) {
  std::vector<const char*> pointers;
  for (const json& value : values) {
    pointers.push_back(value.get_ref<const std::string&>().c_str());
  }
  const Handle type = string_type();
  const Handle attribute = create(object, name, type, space);
  check(H5Awrite(attribute.get(), type.get(), pointers.data()), Error::Kind::io, name);
}

bool all(std::span<const json> values, bool (json::*is)() const noexcept) {
  return std::all_of(values.begin(), values.end(), [&](const json& v) { return (v.*is)(); });
}

void write_attribute(hid_t object, const std::string& name, const json& value) {
  const auto space_of = [&](hid_t id) { return checked(id, H5Sclose, Error::Kind::io, name); };
  if (value.is_null()) {
    (void)create(object, name, memory_type(DType::float32), space_of(H5Screate(H5S_NULL)));
    return;
  }
  const std::vector<json> values =
      value.is_array() ? value.get<std::vector<json>>() : std::vector<json>{value};
  const hsize_t count = values.size();
  const Handle space =
      space_of(value.is_array() ? H5Screate_simple(1, &count, nullptr) : H5Screate(H5S_SCALAR));
  if (values.empty()) {
    (void)create(object, name, memory_type(DType::float64), space);
  } else if (all(values, &json::is_string)) {
    write_texts(object, name, space, values);
  } else if (all(values, &json::is_boolean)) {
    write_numbers<std::int8_t>(object, name, DType::boolean, space, values);
  } else if (all(values, &json::is_number_integer)) {
    write_numbers<std::int64_t>(object, name, DType::int64, space, values);
  } else if (all(values, &json::is_number)) {
    write_numbers<double>(object, name, DType::float64, space, values);
  } else {
    throw input_error(fmt::format("attribute {}: can't be stored in HDF5: {}", name,
                                  value.dump(-1, ' ', false, json::error_handler_t::replace)));
  }
}

}  // namespace

json read_attributes(hid_t object) {
  std::vector<std::string> names;
  check(H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names),
        Error::Kind::input, "its attributes");
  json attributes = json::object();
  for (const std::string& name : names) {
    with_context("attribute " + name, [&] { add_attribute(object, name, attributes); });
  }
  return attributes;
}

void write_attributes(hid_t object, const json& attributes) {
  for (const auto& [name, value] : attributes.items()) write_attribute(object, name, value);
}

}  // namespace cellmill::hdf5
