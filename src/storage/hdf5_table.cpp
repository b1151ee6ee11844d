#include "storage/hdf5_table.hpp"

#include <cstddef>
#include <cstring>
#include <vector>

#include "storage/hdf5_types.hpp"
#include "storage/table_columns.hpp"

namespace cellmill::hdf5 {

namespace {

std::size_t width_of(const TableColumn& column) {
  return column.dtype == DType::string ? sizeof(char*) : dtype_size(column.dtype);
}

}  // namespace

void write_table(File& file, const std::string& path, std::span<const TableColumn> columns) {
  with_context(file.location_of(path), [&] {
    const auto rows = static_cast<std::size_t>(rows_of_table(columns));
    std::size_t record = 0;
    for (const TableColumn& column : columns) record += width_of(column);
    std::vector<std::byte> records(rows * record);
    std::vector<std::vector<std::string>> texts;  // what the records point to
    const Lock lock;
    const auto own = [](hid_t id, Handle::Close close) {
      return checked(id, close, Error::Kind::io, "can't be written");
    };
    const Handle type = own(H5Tcreate(H5T_COMPOUND, record), H5Tclose);
    std::size_t offset = 0;
    for (const TableColumn& column : columns) {
      const std::size_t width = width_of(column);
      const Handle member =
          column.dtype == DType::string ? string_type() : memory_type(column.dtype);
      check(H5Tinsert(type.get(), column.name.c_str(), offset, member.get()), Error::Kind::io,
            column.name);
      if (column.dtype == DType::string) texts.push_back(column.strings.to_vector());
      for (std::size_t row = 0; row < rows; ++row) {
        std::byte* const to = records.data() + row * record + offset;
        if (column.dtype == DType::string) {
          const char* const text = texts.back()[row].c_str();
          std::memcpy(to, &text, width);
        } else {
          std::memcpy(to, column.values.data() + row * width, width);
        }
      }
      offset += width;
    }
    const hsize_t size = rows;
    const Handle space = own(H5Screate_simple(1, &size, nullptr), H5Sclose);
    const Handle links = make_links();
    const Handle dataset = own(H5Dcreate2(file.id(), path.c_str(), type.get(), space.get(),
                                          links.get(), H5P_DEFAULT, H5P_DEFAULT),
                               H5Dclose);
    check(H5Dwrite(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, records.data()),
          Error::Kind::io, "can't be written");
  });
  file.check_written();
}

}  // namespace cellmill::hdf5
