#include "storage/hdf5_strings.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "storage/hdf5_types.hpp"

namespace cellmill::hdf5 {

namespace {

/// Strings that go through the library at once: long enough to spread its cost, short enough that
/// others get the lock in between.
constexpr std::int64_t block_rows = 16384;

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

/// Fixed length: padded with zeros or, from Fortran's world, blanks.
void read_fixed(hid_t type, std::int64_t count, const Transfer& transfer, Strings& out) {
  const std::size_t width = H5Tget_size(type);
  std::vector<char> bytes(static_cast<std::size_t>(count) * width);
  check(transfer(type, bytes.data()), Error::Kind::input, "its strings");
  const bool blanks = H5Tget_strpad(type) == H5T_STR_SPACEPAD;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    std::string_view text(bytes.data() + i * width, width);
    text = text.substr(0, text.find('\0'));
    while (blanks && !text.empty() && text.back() == ' ') text.remove_suffix(1);
    out.push_back(text);
  }
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

/// The dataset's space with rows [first, first + count) selected; a scalar's whole space.
Handle selected_space(hid_t dataset, std::int64_t first, std::int64_t count) {
  Handle space = checked(H5Dget_space(dataset), H5Sclose, Error::Kind::input, "its shape");
  if (H5Sget_simple_extent_ndims(space.get()) == 0) return space;
  const auto start = static_cast<hsize_t>(first);
  const auto size = static_cast<hsize_t>(count);
  check(H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, &start, nullptr, &size, nullptr),
        Error::Kind::input, "its rows");
  return space;
}

Handle member_type(hid_t compound, const std::string& member) {
  const int index = H5Tget_member_index(compound, member.c_str());
  check(index, Error::Kind::input, "its type");
  return checked(H5Tget_member_type(compound, static_cast<unsigned>(index)), H5Tclose,
                 Error::Kind::input, "its type");
}

}  // namespace

Strings read_strings(hid_t dataset, Range range, const std::string& member) {
  Strings out;
  out.reserve(range.size(), 0);
  for (std::int64_t first = range.begin; first < range.end; first += block_rows) {
    const Lock lock;
    const std::int64_t count = std::min(block_rows, range.end - first);
    Handle type = checked(H5Dget_type(dataset), H5Tclose, Error::Kind::input, "its type");
    if (!member.empty()) type = member_type(type.get(), member);
    const Handle in_file = selected_space(dataset, first, count);
    const Handle in_memory = simple_space(count);
    read_as(
        type.get(), in_memory, count,
        [&](hid_t memory, void* to) {
          const Handle record = member.empty() ? Handle() : compound_of(member, memory);
          return H5Dread(dataset, member.empty() ? memory : record.get(), in_memory.get(),
                         in_file.get(), H5P_DEFAULT, to);
        },
        out);
  }
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
  std::string text;
  std::vector<std::size_t> offsets;
  std::vector<const char*> pointers;
  for (std::int64_t begin = 0; begin < strings.size(); begin += block_rows) {
    const std::int64_t count = std::min(block_rows, strings.size() - begin);
    text.clear();
    offsets.clear();
    pointers.clear();
    for (std::int64_t i = begin; i < begin + count; ++i) {
      offsets.push_back(text.size());
      text.append(strings[i]).push_back('\0');
    }
    for (const std::size_t offset : offsets) pointers.push_back(text.data() + offset);
    const Lock lock;
    const Handle type = string_type();
    const Handle in_file = selected_space(dataset, first + begin, count);
    const Handle in_memory = simple_space(count);
    check(
        H5Dwrite(dataset, type.get(), in_memory.get(), in_file.get(), H5P_DEFAULT, pointers.data()),
        Error::Kind::io, "its strings");
  }
}

}  // namespace cellmill::hdf5
