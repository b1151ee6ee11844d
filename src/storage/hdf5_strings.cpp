#include "storage/hdf5_strings.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "storage/enough_memory.hpp"
#include "storage/hdf5_types.hpp"

namespace cellmill::hdf5 {

namespace {

/// Strings that go through the library at once: long enough to spread its cost, short enough that
/// others get the lock in between.
constexpr std::int64_t block_strings = 16384;

using Transfer = std::function<herr_t(hid_t type, void* to)>;

/// Variable length: the library allocates each string, and gets them back.
void read_variable(const Handle& type, const Handle& space, std::int64_t count,
                   const Transfer& transfer, Strings& out) {
  std::vector<char*> pointers(static_cast<std::size_t>(count), nullptr);
  check(transfer(type.get(), pointers.data()), Error::Kind::input, "its strings");
  std::size_t bytes = 0;
  for (const char* text : pointers) bytes += text == nullptr ? 0 : std::strlen(text);
  out.reserve(out.size() + count, out.bytes() + static_cast<std::int64_t>(bytes));
  for (const char* text : pointers) out.push_back(text == nullptr ? "" : text);
  H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, pointers.data());
}

void read_fixed(hid_t type, std::int64_t count, const Transfer& transfer, Strings& out) {
  const std::size_t width = H5Tget_size(type);
  expect_memory(count, width);
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * width);
  check(transfer(type, bytes.data()), Error::Kind::input, "its strings");
  append_fixed(bytes, width, H5Tget_strpad(type), out);
}

void read_as(hid_t file_type, const Handle& space, std::int64_t count, const Transfer& transfer,
             Strings& out) {
  if (H5Tis_variable_str(file_type) > 0) {
    read_variable(variable_string_like(file_type), space, count, transfer, out);
  } else {
    read_fixed(file_type, count, transfer, out);
  }
}

Handle simple_space(std::int64_t count) {
  const auto size = static_cast<hsize_t>(count);
  return checked(H5Screate_simple(1, &size, nullptr), H5Sclose, Error::Kind::io, "a dataspace");
}

Handle space_of(hid_t dataset) {
  return checked(H5Dget_space(dataset), H5Sclose, Error::Kind::input, "its shape");
}

/// How long each axis is.
std::vector<hsize_t> sizes_of(const Handle& space) {
  std::vector<hsize_t> sizes(static_cast<std::size_t>(H5Sget_simple_extent_ndims(space.get())));
  check(H5Sget_simple_extent_dims(space.get(), sizes.data(), nullptr), Error::Kind::input,
        "its shape");
  return sizes;
}

/// Strings in each row of a dataset; its caller knows that they can be counted.
std::int64_t strings_a_row(hid_t dataset) {
  const Lock lock;
  const std::vector<hsize_t> sizes = sizes_of(space_of(dataset));
  hsize_t strings = 1;
  for (std::size_t axis = 1; axis < sizes.size(); ++axis) strings *= sizes[axis];
  return static_cast<std::int64_t>(strings);
}

/// The dataset's space with these rows selected; a scalar's whole space.
Handle selected_space(hid_t dataset, Range rows) {
  Handle space = space_of(dataset);
  std::vector<hsize_t> sizes = sizes_of(space);
  if (sizes.empty()) return space;
  std::vector<hsize_t> start(sizes.size(), 0);
  start[0] = static_cast<hsize_t>(rows.begin);
  sizes[0] = static_cast<hsize_t>(rows.size());
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, sizes.data(),
                            nullptr),
        Error::Kind::input, "its rows");
  return space;
}

/// Calls `body` with blocks of the rows, each of about as many strings as go through the library at
/// once.
template <class Body>
void for_blocks(Range rows, std::int64_t in_row, Body&& body) {
  const std::int64_t together = std::max<std::int64_t>(block_strings / in_row, 1);
  for (std::int64_t first = rows.begin; first < rows.end; first += together) {
    body(Range{first, std::min(first + together, rows.end)});
  }
}

Handle member_type(hid_t compound, const std::string& member) {
  const int index = H5Tget_member_index(compound, member.c_str());
  check(index, Error::Kind::input, "its type");
  return checked(H5Tget_member_type(compound, static_cast<unsigned>(index)), H5Tclose,
                 Error::Kind::input, "its type");
}

}  // namespace

void append_fixed(std::span<const std::byte> elements, std::size_t width, H5T_str_t padding,
                  Strings& to) {
  const std::string_view all(reinterpret_cast<const char*>(elements.data()), elements.size());
  for (std::size_t at = 0; at + width <= all.size(); at += width) {
    std::string_view text = all.substr(at, width);
    text = text.substr(0, text.find('\0'));
    if (padding == H5T_STR_SPACEPAD) text = text.substr(0, text.find_last_not_of(' ') + 1);
    to.push_back(text);
  }
}

Strings read_strings(hid_t dataset, Range rows, const std::string& member) {
  Strings out;
  const std::int64_t in_row = strings_a_row(dataset);
  if (rows.empty() || in_row == 0) return out;
  out.reserve(rows.size() * in_row, 0);
  for_blocks(rows, in_row, [&](Range block) {
    const Lock lock;
    const std::int64_t count = block.size() * in_row;
    Handle type = checked(H5Dget_type(dataset), H5Tclose, Error::Kind::input, "its type");
    if (!member.empty()) type = member_type(type.get(), member);
    const Handle in_file = selected_space(dataset, block);
    const Handle in_memory = simple_space(count);
    read_as(
        type.get(), in_memory, count,
        [&](hid_t memory, void* to) {
          const Handle record = member.empty() ? Handle() : compound_of(member, memory);
          return H5Dread(dataset, member.empty() ? memory : record.get(), in_memory.get(),
                         in_file.get(), H5P_DEFAULT, to);
        },
        out);
  });
  return out;
}

Strings read_attribute_strings(hid_t attribute, hid_t type, std::int64_t count) {
  const Lock lock;
  Strings out;
  read_as(
      type, simple_space(count), count,
      [&](hid_t memory, void* to) { return H5Aread(attribute, memory, to); }, out);
  return out;
}

void write_strings(hid_t dataset, std::int64_t first, const Strings& strings) {
  const std::int64_t in_row = strings_a_row(dataset);
  if (in_row == 0) return;
  std::string text;
  std::vector<std::size_t> offsets;
  std::vector<const char*> pointers;
  for_blocks({0, strings.size() / in_row}, in_row, [&](Range block) {
    text.clear();
    offsets.clear();
    pointers.clear();
    for (std::int64_t i = block.begin * in_row; i < block.end * in_row; ++i) {
      offsets.push_back(text.size());
      text.append(strings[i]).push_back('\0');
    }
    for (const std::size_t offset : offsets) pointers.push_back(text.data() + offset);
    const Lock lock;
    const Handle type = string_type();
    const Handle in_file = selected_space(dataset, {first + block.begin, first + block.end});
    const Handle in_memory = simple_space(block.size() * in_row);
    check(
        H5Dwrite(dataset, type.get(), in_memory.get(), in_file.get(), H5P_DEFAULT, pointers.data()),
        Error::Kind::io, "its strings");
  });
}

}  // namespace cellmill::hdf5
